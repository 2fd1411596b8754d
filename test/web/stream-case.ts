import type { Behaviour, ConnectionRecord } from './conformance-behaviour.ts';

/** What a case saw; it crosses from a page as JSON. */
export type Seen =
  | null
  | boolean
  | number
  | string
  | readonly Seen[]
  | { readonly [key: string]: Seen };

export interface OpenInfo {
  readonly extensions: string;
  readonly protocol: string;
  readonly readable: ReadableStream<unknown>;
  readonly writable: WritableStream<unknown>;
}

/** Cases hand it what no type allows. */
export interface Stream {
  readonly url: string;
  readonly opened: Promise<OpenInfo>;
  readonly closed: Promise<{ readonly closeCode: number; readonly reason: string }>;
  close(...values: readonly unknown[]): unknown;
}

export interface StreamError extends DOMException {
  readonly closeCode: number | null;
  readonly reason: string;
}

interface Made<T> {
  readonly prototype: T;
  readonly name: string;
  readonly length: number;
  new (...values: readonly unknown[]): T;
}

/** What is tested, and the server: `http://127.0.0.1:8080`. */
export interface Surroundings {
  readonly WebSocketStream: Made<Stream>;
  readonly WebSocketError: Made<StreamError>;
  readonly server: string;
}

/** One thing to look at, over any implementation. */
export interface StreamCase {
  readonly name: string;
  /** By the specification, or where that would hide something, as we want it. */
  readonly expected: Seen;
  run(stage: Stage): Seen | Promise<Seen>;
}

let lastId = 0;

/** What a case works with. */
export class Stage {
  readonly WebSocketStream: Made<Stream>;
  readonly WebSocketError: Made<StreamError>;
  readonly #server: string;
  /** New in each page and process, too. */
  readonly #id = `${++lastId}-${Math.random()}`;
  readonly #streams = new Set<Stream>();

  constructor({ WebSocketStream, WebSocketError, server }: Surroundings) {
    this.WebSocketStream = WebSocketStream;
    this.WebSocketError = WebSocketError;
    this.#server = server;
  }

  /** A URL at which the server behaves so. */
  address(behaviour: Omit<Behaviour, 'id'> = {}): string {
    const asked: Behaviour = { ...behaviour, id: this.#id };
    return `${this.#server.replace('http', 'ws')}/?${encodeURIComponent(JSON.stringify(asked))}`;
  }

  /** A stream of any URL, that ends with the case. */
  construct(...values: readonly unknown[]): Stream {
    const stream = new this.WebSocketStream(...values);
    this.#streams.add(stream);
    // Chromium 156 does not survive a close after an abort.
    const isOver = (): boolean => this.#streams.delete(stream);
    stream.closed.then(isOver, isOver);
    return stream;
  }

  dial(behaviour: Omit<Behaviour, 'id'> = {}, ...rest: readonly unknown[]): Stream {
    return this.construct(this.address(behaviour), ...rest);
  }

  /** One that is open. */
  async open(behaviour: Omit<Behaviour, 'id'> = {}): Promise<Stream & OpenInfo> {
    const stream = this.dial(behaviour);
    const { extensions, protocol, readable, writable } = await stream.opened;
    return {
      url: stream.url,
      opened: stream.opened,
      closed: stream.closed,
      close: (...values) => stream.close(...values),
      ...{ extensions, protocol, readable, writable },
    };
  }

  /** The frames that the server was sent, when the connection has ended: the first byte and the payload as hex digits. */
  async frames(): Promise<readonly string[]> {
    const response = await fetch(`${this.#server}/record?${this.#id}`);
    const record = (await response.json()) as ConnectionRecord;
    return record.frames;
  }

  /** Ends a delay or a hold. */
  async release(): Promise<void> {
    await fetch(`${this.#server}/release?${this.#id}`);
  }

  end(): void {
    for (const stream of this.#streams) stream.close();
  }

  /** What a promise comes to. */
  async settled(promise: Promise<unknown>): Promise<Seen> {
    try {
      return shown(await promise);
    } catch (error) {
      return this.thrown(error);
    }
  }

  outcome(call: () => unknown): Seen {
    try {
      return shown(call());
    } catch (error) {
      return this.thrown(error);
    }
  }

  /** An exception by its kind; messages are free. */
  thrown(error: unknown): Seen {
    if (error instanceof this.WebSocketError)
      return ['WebSocketError', error.closeCode, error.reason];
    if (error instanceof DOMException) return `DOMException ${error.name}`;
    if (error instanceof Error) return error.name;
    return `not an error: ${String(error)}`;
  }
}

function shown(value: unknown): Seen {
  if (value === undefined) return 'undefined';
  if (value === null || ['boolean', 'number', 'string'].includes(typeof value))
    return value as Seen;
  if (value instanceof Uint8Array) return { Uint8Array: [...value] };
  if (Array.isArray(value)) return value.map(shown);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype) return `a ${Object.prototype.toString.call(value)}`;
  return Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, shown(one)]));
}

/** Whether a promise settles while so much time passes. */
export async function settlesWithin(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const isInTime = await Promise.race([settled, late]);
  clearTimeout(timer);
  return isInTime;
}

/** All messages that can still be read. */
export async function readAll(readable: ReadableStream<unknown>): Promise<unknown[]> {
  const reader = readable.getReader();
  const messages: unknown[] = [];
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    messages.push(value);
  }
  return messages;
}
