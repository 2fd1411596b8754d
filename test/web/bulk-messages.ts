import assert from 'node:assert/strict';

/** What both sides of a bulk transfer know: how many messages there are, and each one's bytes. */
export const MESSAGE_BYTES = 64 * 1024;

const PERIOD = 251;
const base = Buffer.alloc(MESSAGE_BYTES + PERIOD);
// Knuth's multiplicative hash: bytes without a pattern that a shifted message could still fit.
for (let at = 0; at < base.length; at++) base[at] = Math.imul(at, 2654435761) >>> 24;

/** Its number, and bytes that are others in each of the messages around it. */
export function messageAt(index: number): Buffer {
  const message = Buffer.from(base.subarray(index % PERIOD, (index % PERIOD) + MESSAGE_BYTES));
  message.writeUInt32BE(index);
  return message;
}

/** Checks every byte. */
export function checkMessage(message: string | Uint8Array | undefined, index: number): void {
  assert.ok(message instanceof Uint8Array);
  assert.ok(messageAt(index).equals(message), `message ${index} is another`);
}

/** What the bulk server is asked: how far it is, or to begin to take messages. */
export type BulkQuestion = 'progress' | 'take';

export interface BulkProgress {
  /** Messages sent on /send, or received and checked on /take. */
  readonly messages: number;
  /** How often `send` returned false. */
  readonly stops: number;
}
