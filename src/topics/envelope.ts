import { FIN, LENGTH_16, LENGTH_64, MAX_CONTROL_PAYLOAD } from '../protocol/frames/frame-rules.ts';
import { headerSize } from '../protocol/frames/frame-writer.ts';
import { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import { BINARY, TEXT } from '../protocol/opcodes.ts';
import type { Platform } from '../protocol/platform.ts';

/**
 * What a node hands to the engine: messages to one topic, and where they stand among all that it published.
 *
 *     version 1   flags 1   node 6   sequence 6   previous 6   age 4   the messages' frames, as a server sends them
 *
 * Numbers are big-endian. `previous` is the sequence of the node's envelope before this one to the same topic, and `age`
 * how long before: so that who gets this one can tell whether it got that one, or whether it was there in time for it.
 */
export interface EnvelopeHead {
  /** The node that published, by the number that it has drawn at its start. */
  readonly node: number;
  /** Above that of all envelopes of the node before. */
  readonly sequence: number;
  /** 0 where the node does not know. */
  readonly previous: number;
  /** Milliseconds since the previous one. */
  readonly age: number;
}

const VERSION = 1;
/** The messages are not to be compressed. */
const UNCOMPRESSED = 0x01;
const HEAD_BYTES = 24;
const NUMBER_BYTES = 6;
const AGE_BYTES = 4;
const MAX_AGE = 2 ** 32 - 1;

/** A node's number: 48 random bits, so that no two nodes of a service are ever likely to have the same. */
export function drawNode(platform: Platform): number {
  const bytes = new Uint8Array(NUMBER_BYTES);
  platform.fillRandom(bytes);
  return readNumber(bytes, 0);
}

/** @param messages all with the same `compress`. */
export function sealEnvelope(
  { node, sequence, previous, age }: EnvelopeHead,
  messages: readonly PreparedMessage[],
  platform: Platform,
): Uint8Array {
  let size = HEAD_BYTES;
  for (const { frame } of messages) size += frame.length;
  const bytes = platform.allocateBrief(size);
  bytes[0] = VERSION;
  bytes[1] = messages[0]?.compress === false ? UNCOMPRESSED : 0;
  writeNumber(bytes, 2, node);
  writeNumber(bytes, 8, sequence);
  writeNumber(bytes, 14, previous);
  writeNumber(bytes, 20, Math.min(Math.ceil(age), MAX_AGE), AGE_BYTES);
  let at = HEAD_BYTES;
  for (const { frame } of messages) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

/** Undefined for what is no envelope, or one of another version. */
export function readHead(bytes: Uint8Array): EnvelopeHead | undefined {
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION) return undefined;
  return {
    node: readNumber(bytes, 2),
    sequence: readNumber(bytes, 8),
    previous: readNumber(bytes, 14),
    age: readNumber(bytes, 20, AGE_BYTES),
  };
}

/** The messages of an envelope, which share its memory; undefined where one of them is none. */
export function readMessages(bytes: Uint8Array, platform: Platform): PreparedMessage[] | undefined {
  const messages: PreparedMessage[] = [];
  const compress = ((bytes[1] ?? 0) & UNCOMPRESSED) === 0;
  for (let at = HEAD_BYTES; at < bytes.length; ) {
    const frame = readFrame(bytes, at);
    if (frame === undefined) return undefined;
    const { opcode, payloadStart, end } = frame;
    if (opcode === TEXT && !platform.isUtf8(bytes.subarray(payloadStart, end))) return undefined;
    const start = payloadStart - at;
    messages.push(new PreparedMessage(opcode, bytes.subarray(at, end), start, compress));
    at = end;
  }
  return messages;
}

/** One frame exactly as `writeHeader` makes it: it goes on to peers as it is. */
function readFrame(
  bytes: Uint8Array,
  at: number,
): { opcode: number; payloadStart: number; end: number } | undefined {
  if (at + 2 > bytes.length) return undefined;
  const opcode = (bytes[at] ?? 0) ^ FIN;
  if (opcode !== TEXT && opcode !== BINARY) return undefined;
  let length = bytes[at + 1] ?? 0;
  let payloadStart = at + 2;
  if (length === LENGTH_16) {
    length = readNumber(bytes, payloadStart, 2);
    payloadStart += 2;
  } else if (length === LENGTH_64) {
    if (readNumber(bytes, payloadStart, 2) !== 0) return undefined;
    length = readNumber(bytes, payloadStart + 2);
    payloadStart += 8;
  } else if (length > MAX_CONTROL_PAYLOAD) return undefined;
  const end = payloadStart + length;
  if (end > bytes.length || headerSize(length) !== payloadStart - at) return undefined;
  return { opcode, payloadStart, end };
}

function readNumber(bytes: Uint8Array, at: number, size: number = NUMBER_BYTES): number {
  let number = 0;
  for (let i = at; i < at + size; i++) number = number * 256 + (bytes[i] ?? 0);
  return number;
}

function writeNumber(
  bytes: Uint8Array,
  at: number,
  number: number,
  size: number = NUMBER_BYTES,
): void {
  let rest = number;
  for (let i = at + size - 1; i >= at; i--) {
    bytes[i] = rest;
    rest = Math.floor(rest / 256);
  }
}
