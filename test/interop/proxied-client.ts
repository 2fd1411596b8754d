import assert from 'node:assert/strict';
import { type ClientHttp2Stream, constants } from 'node:http2';
import type { TestContext } from 'node:test';
import { type ConnectOptions, connect } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { dialHttp2 } from '../faults/http2-peer.ts';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  PING,
  PONG,
  readFrame,
  TEXT,
} from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { type TheirClose, theirClient } from './ws-peer.ts';

/** A connection through a proxy, whoever made it. */
interface ProxiedConnection {
  readonly protocol: string;
  readonly messages: Mailbox<string | Buffer>;
  readonly pings: Mailbox<string>;
  readonly pongs: Mailbox<string>;
  /** 1006 where no close frame came. */
  readonly closed: Promise<TheirClose>;
  send(message: string | Buffer): void;
  ping(payload: string): void;
  close(code: number, reason: string): void;
  /** Ends it without a close frame. */
  cut(): void;
}

interface Asked {
  readonly path?: string;
  readonly protocols?: readonly string[];
  readonly origin?: string;
}

export interface ProxiedClient {
  readonly name: string;
  /** Which of the proxy's ports it goes to. */
  readonly tls: boolean;
  /** Rejects with the status in the message, where it is refused. */
  open(t: TestContext, port: number, asked?: Asked): Promise<ProxiedConnection>;
}

/** `ws`: HTTP/1.1 in cleartext. It offers compression. */
const theirs: ProxiedClient = {
  name: "ws's client over HTTP/1.1",
  tls: false,
  async open(t, port, { path = '/', protocols = [], origin } = {}) {
    const url = `ws://127.0.0.1:${port}${path}`;
    const peer = await theirClient(t, url, [...protocols], origin === undefined ? {} : { origin });
    const { socket, messages, pings, pongs, closed } = peer;
    return {
      ...{ protocol: socket.protocol, messages, pings, pongs, closed },
      send: (message) => socket.send(message),
      ping: (payload) => socket.ping(payload),
      close: (code, reason) => socket.close(code, reason),
      cut: () => socket.terminate(),
    };
  },
};

function ours(name: string, tls: boolean, options: ConnectOptions): ProxiedClient {
  return {
    name,
    tls,
    async open(t, port, { path = '/', protocols = [], origin } = {}) {
      const messages = new Mailbox<string | Buffer>();
      const pings = new Mailbox<string>();
      const pongs = new Mailbox<string>();
      const { cert } = await localCertificate();
      const dialled = connect(`${tls ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, {
        ...options,
        compression: true,
        limits: { maxInflationRatio: Number.POSITIVE_INFINITY },
        ...(tls ? { tls: { ca: cert } } : {}),
        ...(origin === undefined ? {} : { headers: { Origin: origin } }),
        protocols,
        message: (_, message) =>
          messages.put(typeof message === 'string' ? message : Buffer.from(message)),
        ping: (_, payload) => pings.put(String(Buffer.from(payload))),
        pong: (_, payload) => pongs.put(String(Buffer.from(payload))),
      });
      const peer = await within('our client', dialled);
      t.after(() => peer.terminate());
      assert.equal(peer.transport, options.http2 === true ? 'h2' : 'http/1.1');
      return {
        ...{ protocol: peer.protocol, messages, pings, pongs, closed: peer.closed },
        send: (message) => void peer.send(message),
        ping: (payload) => void peer.ping(payload),
        close: (code, reason) => peer.close(code, reason),
        cut: () => peer.terminate(),
      };
    },
  };
}

/** An extended CONNECT by node:http2, and frames by hand: nothing of it comes from the library under test. */
function byHand(name: string, tls: boolean): ProxiedClient {
  return {
    name,
    tls,
    async open(t, port, { path = '/', protocols = [], origin } = {}) {
      const dialled = await dialHttp2(t, port, tls);
      assert.equal(dialled.session.remoteSettings.enableConnectProtocol, true);
      const stream = dialled.session.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': dialled.scheme,
        ':authority': dialled.authority,
        ':path': path,
        'sec-websocket-version': '13',
        ...(protocols.length > 0 && { 'sec-websocket-protocol': protocols.join(', ') }),
        ...(origin !== undefined && { origin }),
      });
      return await within('a stream', granted(stream));
    },
  };
}

async function granted(stream: ClientHttp2Stream): Promise<ProxiedConnection> {
  let protocol = '';
  await new Promise<void>((resolve, reject) => {
    stream.once('response', (headers) => {
      protocol = String(headers['sec-websocket-protocol'] ?? '');
      if (headers[':status'] === 200) resolve();
      else reject(new Error(`refused with ${headers[':status']}`));
    });
    stream.once('error', reject);
  });
  const messages = new Mailbox<string | Buffer>();
  const pings = new Mailbox<string>();
  const pongs = new Mailbox<string>();
  let info: TheirClose = { code: 1006, reason: '' };
  let isClosing = false;
  const send = (first: number, payload: string | Uint8Array): void => {
    if (!stream.destroyed) stream.write(clientFrame(first, payload));
  };
  const take = (first: number, payload: Buffer): void => {
    if (first === TEXT) messages.put(payload.toString('utf8'));
    else if (first === BINARY) messages.put(payload);
    else if (first === PONG) pongs.put(payload.toString('utf8'));
    else if (first === PING) {
      pings.put(payload.toString('utf8'));
      send(PONG, payload);
    } else {
      assert.equal(first, CLOSE);
      info = { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
      if (!isClosing) send(CLOSE, payload.subarray(0, 2));
      stream.end();
    }
  };
  let unread: Buffer = Buffer.alloc(0);
  const closed = new Promise<TheirClose>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      try {
        for (let frame = readFrame(unread); frame !== undefined; frame = readFrame(unread)) {
          unread = unread.subarray(frame.size);
          assert.equal(frame.isMasked, false, 'a server must not mask');
          take(frame.first, frame.payload);
        }
      } catch (error) {
        reject(error);
      }
    });
    stream.on('error', () => {});
    stream.on('close', () => resolve(info));
  });
  return {
    ...{ protocol, messages, pings, pongs, closed },
    send: (message) => send(typeof message === 'string' ? TEXT : BINARY, message),
    ping: (payload) => send(PING, payload),
    close(code, reason) {
      isClosing = true;
      send(CLOSE, closePayload(code, reason));
    },
    cut: () => stream.close(constants.NGHTTP2_CANCEL),
  };
}

export const everyClient: readonly ProxiedClient[] = [
  theirs,
  ours('our client over HTTP/1.1 and TLS', true, { http2: false }),
  ours('our client over HTTP/2 and TLS', true, { http2: true }),
  ours('our client over HTTP/2 in cleartext', false, { http2: true }),
  byHand('a client by hand over HTTP/2 and TLS', true),
  byHand('a client by hand over HTTP/2 in cleartext', false),
];
