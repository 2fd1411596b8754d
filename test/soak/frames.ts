/** Frames as a client makes them, right or wrong, without any of the library's code. */
import type { Random } from '../random.ts';

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;
export const FIN = 0x80;
export const RSV1 = 0x40;

export interface FrameOptions {
  /** FIN, reserved bits and opcode. */
  readonly first: number;
  readonly payload?: Uint8Array;
  readonly masked?: boolean;
  /** In how many bytes the length is written: 7 bits, 2 bytes, 8 bytes. Default: as it must be. */
  readonly lengthForm?: 7 | 16 | 64;
}

export function clientFrame(
  random: Random,
  { first, payload = new Uint8Array(), masked = true, lengthForm }: FrameOptions,
): Buffer {
  const form = lengthForm ?? (payload.length < 126 ? 7 : payload.length < 65_536 ? 16 : 64);
  const lengthBytes = form === 7 ? 0 : form / 8;
  const head = Buffer.alloc(2 + lengthBytes + (masked ? 4 : 0));
  head[0] = first;
  head[1] = (masked ? 0x80 : 0) | (form === 7 ? payload.length : form === 16 ? 126 : 127);
  if (form === 16) head.writeUInt16BE(payload.length, 2);
  if (form === 64) head.writeBigUInt64BE(BigInt(payload.length), 2);
  const body = Buffer.from(payload);
  if (masked) {
    const mask = random.bytes(4);
    head.set(mask, 2 + lengthBytes);
    for (let i = 0; i < body.length; i++) body[i] = (body[i] ?? 0) ^ (mask[i & 3] ?? 0);
  }
  return Buffer.concat([head, body]);
}

export function closePayload(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return payload;
}

export interface ServerFrame {
  readonly first: number;
  readonly payload: Buffer;
}

/** Takes a server's frames out of what comes. */
export class ServerFrames {
  #chunks: Buffer[] = [];
  #length = 0;
  #needed = 2;

  /** @throws {Error} for a frame that is masked. */
  *push(chunk: Buffer): Generator<ServerFrame> {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= this.#needed) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      if (bytes === undefined) return;
      this.#chunks = [bytes];
      const second = bytes.readUInt8(1);
      if (second >= 0x80) throw new Error('the server masks a frame');
      const head = second < 126 ? 2 : second === 126 ? 4 : 10;
      this.#needed = head;
      if (bytes.length < head) return;
      const length =
        head === 2 ? second : head === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      this.#needed = head + length;
      if (bytes.length < this.#needed) return;
      const payload = bytes.subarray(head, this.#needed);
      this.#chunks = [bytes.subarray(this.#needed)];
      this.#length -= this.#needed;
      this.#needed = 2;
      yield { first: bytes.readUInt8(0), payload };
    }
  }
}

/** RFC 6455 1.3: the key of its example, and what answers it. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export function upgradeRequest(path: string, extensions = ''): string {
  const offer = extensions === '' ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n${offer}\r\n`
  );
}

/** Takes the answer to an upgrade, in pieces. */
export class UpgradeAnswer {
  #text = '';

  /** What came behind the answer, once it is whole; undefined before. @throws {Error} for a refusal. */
  push(chunk: Buffer): Buffer | undefined {
    this.#text += chunk.toString('latin1');
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    if (!this.#text.startsWith('HTTP/1.1 101 ') || !this.#text.includes(ACCEPT)) {
      throw new Error(`refused: ${this.#text.slice(0, 40).split('\r\n')[0]}`);
    }
    return Buffer.from(this.#text.slice(end + 4), 'latin1');
  }
}
