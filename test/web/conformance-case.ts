import type { Behaviour, ConnectionRecord } from './conformance-behaviour.ts';

/** What a case saw; it crosses from a page or a process as JSON. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

type Listener = ((event: SocketEvent) => void) | { handleEvent(event: SocketEvent): void } | null;

/** Cases hand it what no type allows. */
export interface Socket extends EventTarget {
  readonly url: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  binaryType: unknown;
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  addEventListener(type: string, listener: Listener, options?: object): void;
  removeEventListener(type: string, listener: Listener): void;
  send(...values: readonly unknown[]): unknown;
  close(...values: readonly unknown[]): unknown;
}

export interface SocketClass {
  readonly prototype: Socket;
  new (...values: readonly unknown[]): Socket;
}

/** An event of any of the four types. */
export type SocketEvent = Event & {
  readonly data?: unknown;
  readonly origin?: string;
  readonly lastEventId?: string;
  readonly source?: unknown;
  readonly ports?: readonly unknown[];
  readonly code?: number;
  readonly reason?: string;
  readonly wasClean?: boolean;
};

/** One thing to look at, over any implementation. */
export interface Case {
  readonly name: string;
  /** By the standards, whatever implementations do. */
  readonly expected: Json;
  run(stage: Stage): Json | Promise<Json>;
}

export interface Surroundings {
  readonly WebSocket: SocketClass;
  /** Where the server is, as `ws://127.0.0.1:8080`. */
  readonly url: string;
  /** Where the messages of exceptions arrive that code handed to the runtime leaves unhandled. */
  readonly unhandled: string[];
}

/** What a case saw that did not come to its end. */
export const IN_VAIN = 'waited in vain';

let lastId = 0;

/** What a case works with. */
export class Stage {
  readonly WebSocket: SocketClass;
  readonly host: string;
  readonly unhandled: string[];
  readonly #httpUrl: string;
  readonly #surroundings: Surroundings;
  /** New in each page and process, too. */
  readonly #id = `${++lastId}-${Math.random()}`;
  readonly #sockets: Socket[];

  constructor(surroundings: Surroundings, sockets: Socket[] = []) {
    this.#surroundings = surroundings;
    this.WebSocket = surroundings.WebSocket;
    this.host = new URL(surroundings.url).host;
    this.#httpUrl = `http://${this.host}`;
    this.unhandled = surroundings.unhandled;
    this.#sockets = sockets;
  }

  /** For a second connection: what the server does and records goes by the stage. */
  again(): Stage {
    return new Stage(this.#surroundings, this.#sockets);
  }

  /** A URL at which the server behaves so. */
  address(behaviour: Omit<Behaviour, 'id'> = {}): string {
    const asked: Behaviour = { ...behaviour, id: this.#id };
    return `ws://${this.host}/?${encodeURIComponent(JSON.stringify(asked))}`;
  }

  /** A WebSocket of any URL, that ends with the case. */
  construct(...values: readonly unknown[]): Socket {
    const socket = new this.WebSocket(...values);
    this.#sockets.push(socket);
    return socket;
  }

  dial(behaviour: Omit<Behaviour, 'id'> = {}, ...rest: readonly unknown[]): Socket {
    return this.construct(this.address(behaviour), ...rest);
  }

  /** One that is open. */
  async open(behaviour: Omit<Behaviour, 'id'> = {}, ...rest: readonly unknown[]): Promise<Socket> {
    const socket = this.dial(behaviour, ...rest);
    await opened(socket);
    return socket;
  }

  /** What the server saw of this case's connection, when that has ended. */
  async record(): Promise<ConnectionRecord> {
    const response = await fetch(`${this.#httpUrl}/record?${this.#id}`);
    return (await response.json()) as ConnectionRecord;
  }

  /** The frames alone. */
  async frames(): Promise<readonly string[]> {
    return (await this.record()).frames;
  }

  /** Ends a delay or a hold. */
  async release(): Promise<void> {
    await fetch(`${this.#httpUrl}/release?${this.#id}`);
  }

  end(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

/** Rejects where it does not open. */
function opened(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('close', () => reject(new Error('closed before it was open')));
  });
}

export function next(socket: Socket, type: string): Promise<SocketEvent> {
  return new Promise((resolve) => {
    socket.addEventListener(type, resolve, { once: true });
  });
}

/** Waits for `close`. One that does not follow an `error` at once never comes, in Node 22. */
export function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.addEventListener('close', () => resolve());
    socket.addEventListener('error', () => setTimeout(resolve, 50));
  });
}

/** All events of a socket, told shortly, when `close` has come and a while has passed. */
export async function history(socket: Socket): Promise<Json[]> {
  const events: Json[] = [];
  socket.addEventListener('open', () => events.push('open'));
  socket.addEventListener('message', (event) => events.push(told(event)));
  socket.addEventListener('error', () => events.push('error'));
  socket.addEventListener('close', (event) => events.push(told(event)));
  await ended(socket);
  await sleep(5);
  return events;
}

/** A `message` or `close` event shortly. */
export function told(event: SocketEvent): Json {
  const { type, data, code, reason, wasClean } = event;
  if (type === 'message') return ['message', toldData(data)];
  return ['close', code ?? null, reason ?? null, wasClean ?? null];
}

function toldData(data: unknown): Json {
  if (typeof data === 'string') return data;
  if (data instanceof ArrayBuffer) return { ArrayBuffer: [...new Uint8Array(data)] };
  if (data instanceof Blob) return { Blob: data.size };
  return `something else: ${String(data)}`;
}

/** What a call returns or throws. */
export function outcome(call: () => unknown): Json {
  try {
    const value = call();
    const isPlain = value === null || ['boolean', 'number', 'string'].includes(typeof value);
    return isPlain ? (value as Json) : `returned ${typeof value}`;
  } catch (error) {
    return thrown(error);
  }
}

/** An exception by its kind; messages are free. */
export function thrown(error: unknown): string {
  if (error instanceof DOMException) return `throws DOMException ${error.name}`;
  if (error instanceof Error) return `throws ${error.name}`;
  return `throws ${String(error)}`;
}

/** Waits until something holds, for at most two seconds; says whether it does. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  for (let round = 0; round < 400; round++) {
    if (condition()) return true;
    await sleep(5);
  }
  return condition();
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
