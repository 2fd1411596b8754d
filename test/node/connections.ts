import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  ApertoError,
  type ClientPeer,
  type ConnectOptions,
  connect,
  type ErrorCode,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';

/** A server that is closed with the test. Unless the test takes errors itself, there must be none. */
export async function startServer<Data = undefined>(
  t: TestContext,
  options: ServeOptions<Data>,
): Promise<Server<Data>> {
  const errors: unknown[] = [];
  const server = await serve<Data>({ onError: (error) => errors.push(error), ...options });
  t.after(async () => {
    await within('server.close()', server.close({ timeoutMs: 200 }));
    assert.deepEqual(errors, []);
  });
  return server;
}

/** A connection that ends with the test. */
export async function dialTo(
  t: TestContext,
  url: string,
  options: ConnectOptions = {},
): Promise<ClientPeer> {
  const peer = await within(`a connection to ${url}`, connect(url, options));
  t.after(() => peer.terminate());
  return peer;
}

/** What happened, in order; each can be waited for. */
export class Mailbox<T> {
  readonly all: T[] = [];
  #taken = 0;
  #changed: () => void = () => {};

  readonly put = (item: T): void => {
    this.all.push(item);
    this.#changed();
  };

  async next(): Promise<T> {
    const arrived = async (): Promise<T> => {
      while (this.#taken === this.all.length) {
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
      return this.all[this.#taken++] as T;
    };
    return await within(() => `item ${this.all.length + 1}`, arrived());
  }

  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }
}

/** The error that a connection or a call fails with. */
async function failure(promise: Promise<unknown>): Promise<ApertoError> {
  const outcome = await within(
    'a failure',
    promise.then(
      () => assert.fail('it did not fail'),
      (error: unknown) => error,
    ),
  );
  assert.ok(outcome instanceof ApertoError, `${String(outcome)} is no ApertoError`);
  return outcome;
}

export async function expectFailureCode(
  promise: Promise<unknown>,
  code: ErrorCode,
): Promise<ApertoError> {
  const error = await failure(promise);
  assert.equal(error.code, code, error.message);
  return error;
}

/** A promise and who settles it. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function makeGate(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
