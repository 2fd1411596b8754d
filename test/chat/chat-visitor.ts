import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  type ChatOptions,
  type ChatServer,
  startChat,
} from '../../apps/chat/dist/server/chat-server.js';
import { type ClientPeer, connect } from '../../dist/index.js';

const patienceMs = 20_000;

/** A chat server on a free port, closed when the test ends. */
export async function startTestChat(
  t: TestContext,
  options: ChatOptions = {},
): Promise<ChatServer> {
  const chat = await startChat({
    port: 0,
    onError: (error) => assert.fail(`a handler threw: ${String(error)}`),
    ...options,
  });
  t.after(() => chat.close());
  return chat;
}

export interface VisitOptions {
  readonly protocols?: readonly string[];
  readonly query?: string;
  readonly headers?: Record<string, string>;
}

/** A connection to the chat whose messages are taken one by one, in order. */
export class Visitor {
  readonly peer: ClientPeer;
  readonly #arrived: string[];
  readonly #waiting: Array<() => void>;

  constructor(peer: ClientPeer, arrived: string[], waiting: Array<() => void>) {
    this.peer = peer;
    this.#arrived = arrived;
    this.#waiting = waiting;
  }

  /** The next message. Fails where none comes. */
  async next(): Promise<string> {
    if (this.#arrived.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no message came')), patienceMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    const message = this.#arrived.shift();
    assert.ok(message !== undefined);
    return message;
  }

  /** The next messages, as many as that. */
  async take(count: number): Promise<string[]> {
    const taken: string[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** The next message of `superchat`. */
  async nextObject(): Promise<Record<string, unknown>> {
    const value: unknown = JSON.parse(await this.next());
    assert.ok(isObject(value));
    return value;
  }

  send(message: string | Uint8Array | Readonly<Record<string, unknown>>): void {
    if (typeof message === 'string' || message instanceof Uint8Array) this.peer.send(message);
    else this.peer.send(JSON.stringify(message));
  }

  /** Sends a message; the next one of `superchat` that comes. */
  nextAfter(
    message: string | Uint8Array | Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>> {
    this.send(message);
    return this.nextObject();
  }

  /** Joins a room of `superchat`; what it is answered with. */
  join(room: string, name: string): Promise<Record<string, unknown>> {
    return this.nextAfter({ type: 'join', room, name });
  }

  async leave(): Promise<void> {
    this.peer.close(1000);
    await this.peer.closed;
  }
}

/** Connects to the chat; the connection ends with the test. */
export async function visit(
  t: TestContext,
  chat: ChatServer,
  { protocols = [], query = '', headers = {} }: VisitOptions = {},
): Promise<Visitor> {
  const arrived: string[] = [];
  const waiting: Array<() => void> = [];
  const peer = await connect(`${chat.url.replace(/^http/, 'ws')}chat${query}`, {
    protocols: [...protocols],
    headers,
    message(_peer, data) {
      assert.equal(typeof data, 'string');
      arrived.push(String(data));
      waiting.shift()?.();
    },
  });
  t.after(() => peer.terminate());
  return new Visitor(peer, arrived, waiting);
}

/** A visitor of `superchat` that has joined a room. */
export async function visitRoom(
  t: TestContext,
  chat: ChatServer,
  room: string,
  name: string,
): Promise<Visitor> {
  const visitor = await visit(t, chat, { protocols: ['superchat'] });
  assert.equal((await visitor.join(room, name))['type'], 'joined');
  return visitor;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
