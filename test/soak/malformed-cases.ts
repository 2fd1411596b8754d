import { deflateRawSync } from 'node:zlib';
import type { Random } from '../random.ts';
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  clientFrame,
  closePayload,
  FIN,
  type FrameOptions,
  PING,
  RSV1,
  TEXT,
} from './frames.ts';
import { MALFORMED_FRAGMENTS, MALFORMED_MESSAGE_BYTES } from './plan.ts';

export interface MalformedCase {
  readonly name: string;
  /** Sent once the connection is open. */
  bytes(random: Random): Buffer;
  /** The close codes that are right. */
  readonly codes: readonly number[];
  /** permessage-deflate is agreed on first. */
  readonly compressed?: boolean;
}

function frames(...options: readonly FrameOptions[]): (random: Random) => Buffer {
  return (random) => Buffer.concat(options.map((option) => clientFrame(random, option)));
}

const text = (value: string): Buffer => Buffer.from(value);
/** What a client could have meant, wrong in one place. */
export const malformedCases: readonly MalformedCase[] = [
  {
    name: 'reserved bit 1',
    codes: [1002],
    bytes: frames({ first: FIN | RSV1 | TEXT, payload: text('a') }),
  },
  { name: 'reserved bit 2', codes: [1002], bytes: frames({ first: FIN | 0x20 | TEXT }) },
  { name: 'reserved bit 3', codes: [1002], bytes: frames({ first: FIN | 0x10 | BINARY }) },
  { name: 'reserved opcode 3', codes: [1002], bytes: frames({ first: FIN | 0x3 }) },
  { name: 'reserved opcode 11', codes: [1002], bytes: frames({ first: FIN | 0xb }) },
  {
    name: 'no mask',
    codes: [1002],
    bytes: frames({ first: FIN | TEXT, payload: text('a'), masked: false }),
  },
  {
    name: 'a long 16-bit length',
    codes: [1002],
    bytes: frames({ first: FIN | TEXT, payload: text('a'), lengthForm: 16 }),
  },
  {
    name: 'a long 64-bit length',
    codes: [1002],
    bytes: frames({ first: FIN | TEXT, payload: text('a'), lengthForm: 64 }),
  },
  {
    name: 'a length of 2^63',
    codes: [1002],
    bytes: () => Buffer.from([FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
  },
  { name: 'a ping in pieces', codes: [1002], bytes: frames({ first: PING, payload: text('a') }) },
  {
    name: 'a ping of 126 bytes',
    codes: [1002],
    bytes: frames({ first: FIN | PING, payload: Buffer.alloc(126) }),
  },
  {
    name: 'a continuation of nothing',
    codes: [1002],
    bytes: frames({ first: FIN | CONTINUATION }),
  },
  {
    name: 'a message within a message',
    codes: [1002],
    bytes: frames({ first: TEXT, payload: text('a') }, { first: FIN | TEXT, payload: text('b') }),
  },
  {
    name: 'a lone surrogate',
    codes: [1007],
    bytes: frames({ first: FIN | TEXT, payload: Buffer.from([0xed, 0xa0, 0x80]) }),
  },
  {
    name: 'half a character in the last piece',
    codes: [1007],
    bytes: frames(
      { first: TEXT, payload: text('a') },
      { first: FIN, payload: Buffer.from([0xc3]) },
    ),
  },
  {
    name: 'a message that is too long',
    codes: [1009],
    bytes: frames({ first: FIN | BINARY, payload: Buffer.alloc(MALFORMED_MESSAGE_BYTES + 1) }),
  },
  {
    name: 'a long message in pieces',
    codes: [1009],
    bytes: frames(
      { first: BINARY, payload: Buffer.alloc(MALFORMED_MESSAGE_BYTES) },
      { first: FIN | CONTINUATION, payload: Buffer.alloc(1) },
    ),
  },
  {
    name: 'too many pieces',
    codes: [1008],
    bytes: frames(
      { first: BINARY },
      ...Array.from({ length: MALFORMED_FRAGMENTS }, () => ({ first: CONTINUATION })),
    ),
  },
  {
    name: 'too many pings',
    codes: [1008],
    bytes: frames(...Array.from({ length: 400 }, () => ({ first: FIN | PING }))),
  },
  {
    name: 'a close of one byte',
    codes: [1002],
    bytes: frames({ first: FIN | CLOSE, payload: Buffer.alloc(1) }),
  },
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map((code) => ({
    name: `a close with ${code}`,
    codes: [1002],
    bytes: frames({ first: FIN | CLOSE, payload: closePayload(code) }),
  })),
  {
    name: 'a close reason that is no UTF-8',
    codes: [1007],
    bytes: frames({
      first: FIN | CLOSE,
      payload: Buffer.concat([closePayload(1000), Buffer.from([0xff])]),
    }),
  },
  {
    name: 'deflate that is corrupt',
    codes: [1007],
    compressed: true,
    bytes: frames({ first: FIN | RSV1 | BINARY, payload: Buffer.from([0x07, 0xff, 0xff, 0xff]) }),
  },
  {
    name: 'a compressed continuation',
    codes: [1002],
    compressed: true,
    bytes: frames({ first: TEXT, payload: text('a') }, { first: FIN | RSV1 | CONTINUATION }),
  },
  {
    name: 'a bomb',
    codes: [1009],
    compressed: true,
    bytes: frames({
      first: FIN | RSV1 | BINARY,
      payload: deflateRawSync(Buffer.alloc(8 * 1024 * 1024)),
    }),
  },
  {
    name: 'a message that is never finished',
    codes: [1008],
    bytes: frames({ first: TEXT, payload: text('a') }),
  },
  {
    name: 'a frame that is never finished',
    codes: [1008],
    bytes: (random) =>
      clientFrame(random, { first: FIN | TEXT, payload: text('abc') }).subarray(0, -1),
  },
  {
    // The first byte cannot begin a frame; what comes after it is anything.
    name: 'noise',
    codes: [1002],
    bytes: (random) =>
      Buffer.concat([Buffer.from([0x70 | random.below(16)]), random.bytes(1 + random.below(500))]),
  },
];

export interface RefusedCase {
  readonly name: string;
  readonly request: string;
  readonly status: number;
}

const good: Readonly<Record<string, string>> = {
  Host: 'localhost',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
};

function request(line: string, changes: Readonly<Record<string, string | undefined>>): string {
  const fields = Object.entries({ ...good, ...changes });
  const lines = fields.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return [line, ...lines, '', ''].join('\r\n');
}

const LINE = 'GET /malformed HTTP/1.1';

export const refusedCases: readonly RefusedCase[] = [
  { name: 'a short key', status: 400, request: request(LINE, { 'Sec-WebSocket-Key': 'AAAA' }) },
  { name: 'no key', status: 400, request: request(LINE, { 'Sec-WebSocket-Key': undefined }) },
  {
    name: 'another version',
    status: 426,
    request: request(LINE, { 'Sec-WebSocket-Version': '8' }),
  },
  { name: 'another protocol', status: 426, request: request(LINE, { Upgrade: 'h2c' }) },
  { name: 'POST', status: 405, request: request('POST /malformed HTTP/1.1', {}) },
  { name: 'nowhere', status: 404, request: request('GET /nowhere HTTP/1.1', {}) },
  {
    name: 'another origin',
    status: 403,
    request: request(LINE, { Origin: 'http://elsewhere.example' }),
  },
  {
    name: 'a torn extension',
    status: 400,
    request: request(LINE, { 'Sec-WebSocket-Extensions': ';;' }),
  },
  { name: 'no HTTP', status: 400, request: '\u0016\u0003\u0001 hello\r\n\r\n' },
  { name: 'a long head', status: 431, request: request(LINE, { 'X-Long': 'a'.repeat(20_000) }) },
];
