/** A stream of HTTP/2 on a session of its own, in place of a connection. */
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { localCertificate } from './certificate.ts';
import type { RawRequest } from './raw-client.ts';
import { Head, RawSocket, within } from './raw-socket.ts';

/** What HTTP/2 has in other ways (RFC 8441 5.1). */
const ofHttp1 = new Set(['host', 'upgrade', 'connection', 'sec-websocket-key']);

/** Asks for a WebSocket as `handshake` of raw-client.ts does; the session ends with its stream. */
export async function dialStream(
  port: number,
  tls: boolean,
  { path = '/', fields = {} }: RawRequest,
): Promise<{ raw: RawSocket; head: Head }> {
  const { cert } = await localCertificate();
  const authority = `127.0.0.1:${port}`;
  const session = connect(`${tls ? 'https' : 'http'}://${authority}`, { ca: cert });
  // Told by the streams.
  session.on('error', () => {});
  try {
    // Only with the server's settings does it say that it takes extended CONNECT (RFC 8441 3).
    await within('the settings', new Promise((resolve) => session.once('remoteSettings', resolve)));
    const given = Object.entries(fields).filter(([name]) => !ofHttp1.has(name));
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': tls ? 'https' : 'http',
        ':authority': authority,
        ':path': path,
        'sec-websocket-version': '13',
        ...Object.fromEntries(given.map(([name, value]) => [name, copied(value)])),
      },
      { endStream: false },
    );
    stream.on('close', () => session.close());
    const raw = new RawSocket(stream);
    const answered = new Promise<Head>((resolve, reject) => {
      stream.once('response', (headers) => resolve(headOf(headers)));
      stream.once('close', () => reject(new Error('the stream was closed without an answer')));
    });
    return { raw, head: await within('the answer', answered) };
  } catch (error) {
    session.destroy();
    throw error;
  }
}

function copied(value: string | readonly string[] | undefined): string | string[] | undefined {
  return value === undefined || typeof value === 'string' ? value : [...value];
}

function headOf(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): Head {
  const lines = Object.entries(headers)
    .filter(([name]) => !name.startsWith(':'))
    .map(([name, value]) => `${name}: ${String(value)}`);
  return new Head([`HTTP/2 ${headers[':status']} `, ...lines].join('\r\n'));
}
