import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Server } from '../../dist/index.js';
import { inflated, RSV1 } from '../faults/deflated.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import type { RawFrame } from '../faults/raw-frames.ts';
import type { RawSocket } from '../faults/raw-socket.ts';

export const OFFER = 'permessage-deflate; client_max_window_bits';

/** A connection by hand with this offer. */
export async function offer(
  t: TestContext,
  server: Server,
  offered: string | undefined,
  path = '/',
): Promise<{ raw: RawSocket; accepted: string | undefined }> {
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake({ path, fields: { 'sec-websocket-extensions': offered } }));
  const head = await raw.readHead();
  assert.equal(head.status, 101);
  return { raw, accepted: head.get('sec-websocket-extensions') };
}

/** Inflates what a server sends as RFC 7692 7.2.2 has it, with no more memory than was agreed on. */
export class Receiver {
  readonly #raw: Pick<RawSocket, 'readFrame'>;
  readonly #takesOver: boolean;
  readonly #windowBits: number;
  #history: Buffer = Buffer.alloc(0);
  /** How many messages came compressed. */
  compressed = 0;

  constructor(raw: Pick<RawSocket, 'readFrame'>, accepted: string | undefined) {
    this.#raw = raw;
    this.#takesOver = accepted?.includes('server_no_context_takeover') === false;
    this.#windowBits = Number(/server_max_window_bits=(\d+)/.exec(accepted ?? '')?.[1] ?? 15);
  }

  async next(): Promise<{ first: number; message: Buffer }> {
    return this.take(await this.#raw.readFrame());
  }

  /** The message of a frame; frames are to be taken in their order. */
  take({ first, payload }: Pick<RawFrame, 'first' | 'payload'>): {
    first: number;
    message: Buffer;
  } {
    if ((first & RSV1) === 0) return { first, message: payload };
    this.compressed++;
    const message = inflated(payload, {
      windowBits: this.#windowBits,
      ...(this.#history.length > 0 ? { dictionary: this.#history } : {}),
    });
    if (this.#takesOver) {
      const known = Buffer.concat([this.#history, message]);
      this.#history = known.subarray(Math.max(0, known.length - 2 ** this.#windowBits));
    }
    return { first: first - RSV1, message };
  }
}

/** Text of so many bytes that shrinks, begins with a number and is not the same for any two numbers. */
export function numbered(at: number, size: number): string {
  const words = ['gold', 'silver', 'copper', 'tin', 'lead', 'zinc', 'iron'];
  let text = `${at}:`;
  for (let step = at + 1; text.length < size; step = (step * 31 + 7) % 65_521) {
    text += `{"metal":"${words[step % 7]}","price":${step}},`;
  }
  return text.slice(0, Math.max(size, `${at}:`.length));
}
