import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { localCertificate } from './certificate.ts';
import { type Head, RawSocket, within } from './raw-socket.ts';

/** RFC 6455 1.3's example, and what answers it. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly version?: string;
  /**
   * Fields over those of a right handshake, by their name in lower case: undefined leaves one out, a list
   * sends it several times.
   */
  readonly fields?: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** An opening handshake, right in all that `request` does not change. */
export function handshake({
  method = 'GET',
  path = '/',
  version = 'HTTP/1.1',
  fields = {},
}: RawRequest = {}): string {
  const all: Record<string, string | readonly string[] | undefined> = {
    host: '127.0.0.1',
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': KEY,
    'sec-websocket-version': '13',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : (value ?? [])).map((one) => `${name}: ${one}`),
  );
  return `${[`${method} ${path} ${version}`, ...lines].join('\r\n')}\r\n\r\n`;
}

/** A connection to a server on 127.0.0.1, with nothing sent. */
export async function dial(port: number, tls: boolean): Promise<RawSocket> {
  const options = { host: '127.0.0.1', port, allowHalfOpen: true };
  let socket: Socket;
  let connected: string;
  if (tls) {
    const { cert } = await localCertificate();
    socket = connectTls({ ...options, ca: cert });
    connected = 'secureConnect';
  } else {
    socket = connectTcp(options);
    connected = 'connect';
  }
  await within(
    'a connection',
    new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once(connected, () => {
        socket.off('error', reject);
        resolve();
      });
    }),
  );
  return new RawSocket(socket);
}

/** Checks that a handshake was answered as RFC 6455 4.2.2 says. */
export function checkSwitched(head: Head, protocol?: string): void {
  assert.equal(head.startLine, 'HTTP/1.1 101 Switching Protocols');
  assert.equal(head.get('upgrade')?.toLowerCase(), 'websocket');
  assert.equal(head.get('connection')?.toLowerCase(), 'upgrade');
  assert.equal(head.get('sec-websocket-accept'), ACCEPT);
  assert.equal(head.get('sec-websocket-protocol'), protocol);
  assert.equal(head.get('sec-websocket-extensions'), undefined);
}

/** Reads the answer to a handshake that is refused, whole, and the end of the connection. */
export async function readRefusal(raw: RawSocket): Promise<{ head: Head; body: string }> {
  const head = await raw.readHead();
  assert.notEqual(head.status, 101);
  const length = Number(head.get('content-length') ?? 0);
  const body = (await raw.readBytes(length)).toString('utf8');
  assert.match(head.get('connection') ?? '', /\bclose$/);
  await raw.expectEnd();
  raw.end();
  return { head, body };
}
