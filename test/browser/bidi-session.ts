import assert from 'node:assert/strict';
import { type ClientPeer, connect, type Message } from '../../dist/index.js';

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

type EventListener = (method: string, params: unknown) => void;

/** WebDriver BiDi: commands and events as JSON, over Aperto's own client. */
export class BidiSession implements AsyncDisposable {
  #peer: ClientPeer | undefined;
  #lastId = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners: EventListener[] = [];

  static async connect(url: string): Promise<BidiSession> {
    const session = new BidiSession();
    session.#peer = await connect(url, {
      limits: { maxMessageBytes: 64 * 1024 * 1024 },
      message: (_peer, message) => session.#received(message),
      close: (_peer, code) => session.#ended(code),
    });
    return session;
  }

  /** Sends a command; resolves with its result. */
  call(method: string, params: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      assert.ok(this.#peer !== undefined);
      this.#peer.send(JSON.stringify({ id, method, params }));
      if (this.#peer.state !== 'open') reject(new Error(`${method}: the session has ended`));
    });
  }

  onEvent(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer?.[Symbol.asyncDispose]();
  }

  #received(message: Message): void {
    assert.equal(typeof message, 'string');
    const parsed: unknown = JSON.parse(String(message));
    const id = field(parsed, 'id');
    if (typeof id !== 'number') {
      const method = textField(parsed, 'method');
      for (const listener of this.#listeners) listener(method, field(parsed, 'params'));
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (field(parsed, 'type') === 'success') waiting?.resolve(field(parsed, 'result'));
    else waiting?.reject(new Error(`${field(parsed, 'error')}: ${field(parsed, 'message')}`));
  }

  #ended(code: number): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new Error(`the browser closed the session with ${code}`));
    }
    this.#waiting.clear();
  }
}

/** A field of a parsed JSON object; undefined where there is none. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

export function textField(value: unknown, name: string): string {
  const text = field(value, name);
  assert.equal(typeof text, 'string', `no text ${name} in ${JSON.stringify(value)}`);
  return String(text);
}
