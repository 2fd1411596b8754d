/** A client of HTTP/2 by hand, over node:http2: of WebSocket it knows only frames. */
import assert from 'node:assert/strict';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import type { TestContext } from 'node:test';
import type { ServeOptions, Server } from '../../dist/index.js';
import { startServer } from '../node/connections.ts';
import { localCertificate } from './certificate.ts';
import { CLOSE, closeCodeOf, type RawFrame, readFrame } from './raw-frames.ts';
import { within } from './raw-socket.ts';

type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

/** One stream, read by hand. Every wait has a deadline and says what it waited for. */
export class RawStream {
  readonly stream: ClientHttp2Stream;
  #headers: ResponseHeaders | undefined = undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #changed: () => void = () => {};

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on('response', (headers) => {
      this.#headers = headers;
      this.#changed();
    });
    stream.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#changed();
    });
    stream.on('end', () => {
      this.#ended = true;
      this.#changed();
    });
    // What it was reset with, `rstCode` says.
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#closed = true;
      this.#changed();
    });
  }

  async #until(what: string, isThere: () => boolean): Promise<void> {
    const arrived = async (): Promise<void> => {
      while (!isThere()) {
        assert.ok(!this.#closed, `closed with ${this.stream.rstCode} before ${what}`);
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
    };
    await within(() => `${what}; unread: ${this.#bytes.subarray(0, 200)}`, arrived());
  }

  /** The head of the response. */
  async headers(): Promise<ResponseHeaders> {
    await this.#until('the headers', () => this.#headers !== undefined);
    return this.#headers ?? {};
  }

  async expectStatus(status: number): Promise<ResponseHeaders> {
    const headers = await this.headers();
    assert.equal(headers[':status'], status);
    return headers;
  }

  write(...parts: Uint8Array[]): void {
    this.stream.write(Buffer.concat(parts));
  }

  /** Sends END_STREAM; goes on reading. */
  end(): void {
    this.stream.end();
  }

  /** Sends RST_STREAM. */
  reset(code: number = constants.NGHTTP2_CANCEL): void {
    this.stream.close(code);
  }

  async readFrame(): Promise<RawFrame> {
    let frame: RawFrame | undefined;
    await this.#until('a frame', () => {
      frame = readFrame(this.#bytes);
      return frame !== undefined;
    });
    const read = frame as unknown as RawFrame;
    this.#bytes = this.#bytes.subarray(read.size);
    assert.equal(read.isMasked, false, 'a server must not mask');
    return read;
  }

  async expectFrame(first: number, payload: string | Uint8Array = ''): Promise<void> {
    const frame = await this.readFrame();
    assert.equal(frame.first, first);
    assert.deepEqual(frame.payload, Buffer.from(payload));
  }

  async expectClose(code: number | undefined): Promise<void> {
    const frame = await this.readFrame();
    assert.equal(frame.first, CLOSE);
    assert.equal(closeCodeOf(frame.payload), code);
  }

  /** The other side has ended with END_STREAM, and all that it sent before was read. */
  async expectEnd(): Promise<void> {
    await this.#until('END_STREAM', () => this.#ended);
    assert.ok(!this.#closed || this.stream.rstCode === constants.NGHTTP2_NO_ERROR, 'it was reset');
    assert.equal(this.#bytes.length, 0);
  }

  /** Waits for the end of the stream both ways; returns what it was reset with, 0 where it was not. */
  async closed(): Promise<number> {
    if (!this.#closed) await this.#until('the end of the stream', () => this.#closed);
    return this.stream.rstCode ?? 0;
  }

  /** All that comes until the end. */
  async text(): Promise<string> {
    await this.#until('the end', () => this.#ended);
    return this.#bytes.toString('utf8');
  }

  get unread(): number {
    return this.#bytes.length;
  }
}

/** A session with a server on 127.0.0.1. */
export class RawSession {
  readonly session: ClientHttp2Session;
  readonly authority: string;
  readonly scheme: string;
  /** The code of the GOAWAY that came. */
  goaway: number | undefined = undefined;
  readonly #closed: Promise<void>;

  constructor(session: ClientHttp2Session, authority: string, tls: boolean) {
    this.session = session;
    this.authority = authority;
    this.scheme = tls ? 'https' : 'http';
    this.#closed = new Promise((resolve) => session.on('close', resolve));
    session.on('goaway', (code) => {
      this.goaway = code;
    });
    session.on('error', () => {});
  }

  /** Any request. */
  request(headers: OutgoingHttpHeaders): RawStream {
    return new RawStream(this.session.request({ ':authority': this.authority, ...headers }));
  }

  /** An extended CONNECT, right in all that `fields` do not change; undefined leaves one out. */
  connect(path = '/', fields: OutgoingHttpHeaders = {}): RawStream {
    return this.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': this.scheme,
      ':path': path,
      'sec-websocket-version': '13',
      ...fields,
    });
  }

  /** One that was granted. */
  async open(path?: string, fields?: OutgoingHttpHeaders): Promise<RawStream> {
    const stream = this.connect(path, fields);
    await stream.expectStatus(200);
    return stream;
  }

  async closed(): Promise<void> {
    await within('the end of the session', this.#closed);
  }
}

/** A session that ends with the test, once the settings of the server are there. */
export async function dialHttp2(
  t: TestContext,
  port: number,
  tls: boolean,
  settings: Settings = {},
): Promise<RawSession> {
  const authority = `127.0.0.1:${port}`;
  const { cert } = await localCertificate();
  const session = connectHttp2(`${tls ? 'https' : 'http'}://${authority}`, { ca: cert, settings });
  t.after(() => session.destroy());
  await within(
    'the settings',
    new Promise<void>((resolve, reject) => {
      session.once('remoteSettings', () => resolve());
      session.once('error', reject);
    }),
  );
  return new RawSession(session, authority, tls);
}

/** A server that speaks HTTP/2 beside HTTP/1.1; it is closed with the test. */
export async function startHttp2<Data = undefined>(
  t: TestContext,
  tls: boolean,
  options: ServeOptions<Data>,
): Promise<Server<Data>> {
  return startServer(t, {
    ...(tls ? { tls: await localCertificate() } : { http2: true }),
    ...options,
  });
}
