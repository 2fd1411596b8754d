/** Frames of HTTP/2 (RFC 9113) by hand, for what node:http2's client does not send. */
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { localCertificate } from './certificate.ts';
import { dial } from './raw-client.ts';
import { RawSocket, within } from './raw-socket.ts';

export const DATA = 0x0;
export const HEADERS = 0x1;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PING = 0x6;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;

export const ACK = 0x1;
export const END_STREAM = 0x1;
const END_HEADERS = 0x4;

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** RFC 9113 4.1. */
export function http2Frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** RFC 9113 6.5.1. */
export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(0, id), uint32(value)]);
}

/** The identifier of a setting. */
export const INITIAL_WINDOW_SIZE = 0x4;

/** Each field as a literal without indexing (RFC 7541 6.2.2); names and values are short. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [
      Buffer.of(0, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]),
  );
}

/** What asks for WebSocket (RFC 8441 5), in cleartext. */
export const extendedConnect: Readonly<Record<string, string>> = {
  ':method': 'CONNECT',
  ':protocol': 'websocket',
  ':scheme': 'http',
  ':path': '/',
  ':authority': 'localhost',
  'sec-websocket-version': '13',
};

/** What asks for a tunnel (RFC 9113 8.5). Node's own client sends it in some versions only. */
export const bareConnect: Readonly<Record<string, string>> = {
  ':method': 'CONNECT',
  ':authority': 'example.com:443',
};

/** `:status` as node:http2 sends it (RFC 7541 6.2.1, 5.2). */
export const statusBytes: Readonly<Record<405 | 502, Buffer>> = {
  405: Buffer.from('4803343035', 'hex'),
  502: Buffer.from('48826c02', 'hex'),
};

/** A session of HTTP/2, frame by frame. */
export class Http2Wire {
  readonly raw: RawSocket;

  constructor(raw: RawSocket) {
    this.raw = raw;
  }

  send(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    this.raw.write(http2Frame(type, flags, streamId, payload));
  }

  /** Opens a stream and leaves it open. */
  sendHeaders(streamId: number, fields: Readonly<Record<string, string>>): void {
    this.send(HEADERS, END_HEADERS, streamId, headerBlock(fields));
  }

  async readFrame(): Promise<Http2Frame> {
    const head = await this.raw.readBytes(9);
    const payload = await this.raw.readBytes(head.readUIntBE(0, 3));
    const [type, flags] = [head.readUInt8(3), head.readUInt8(4)];
    return { type, flags, streamId: head.readUInt32BE(5), payload: Buffer.from(payload) };
  }

  /** The next frame of one of the types; others are skipped. */
  async next(...types: number[]): Promise<Http2Frame> {
    for (;;) {
      const frame = await this.readFrame();
      if (types.includes(frame.type)) return frame;
    }
  }
}

async function dialTlsHttp2(port: number): Promise<RawSocket> {
  const { cert } = await localCertificate();
  const address = { host: '127.0.0.1', port, allowHalfOpen: true };
  const socket = connectTls({ ...address, ca: cert, ALPNProtocols: ['h2'] });
  await within('a connection', once(socket, 'secureConnect'));
  return new RawSocket(socket);
}

/** A session whose preface was sent; its connection ends with the test. */
export async function dialWire(
  t: TestContext,
  port: number,
  tls: boolean,
  settings: Uint8Array = Buffer.alloc(0),
): Promise<Http2Wire> {
  const raw = tls ? await dialTlsHttp2(port) : await dial(port, false);
  t.after(() => raw.destroy());
  raw.write(PREFACE, http2Frame(SETTINGS, 0, 0, settings));
  return new Http2Wire(raw);
}
