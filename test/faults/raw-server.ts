import { createHash } from 'node:crypto';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type Certificate, localCertificate } from './certificate.ts';
import { type Head, RawSocket, within } from './raw-socket.ts';

/** The value of Sec-WebSocket-Accept for a request (RFC 6455 4.2.2). */
export function acceptOf(request: Head): string {
  const key = request.get('sec-websocket-key') ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A response that switches protocols, right in all that `fields` does not change. */
export function switching(
  request: Head,
  fields: Readonly<Record<string, string | readonly string[] | undefined>> = {},
): string {
  const all: Record<string, string | readonly string[] | undefined> = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': acceptOf(request),
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : (value ?? [])).map((one) => `${name}: ${one}`),
  );
  return `${['HTTP/1.1 101 Switching Protocols', ...lines].join('\r\n')}\r\n\r\n`;
}

export interface RawServerOptions {
  /** Speaks TLS, with this certificate or one for 127.0.0.1. */
  readonly tls?: boolean | Certificate;
  /** What it does with a client whose request head it has read. Its failures are the test's. */
  answer(raw: RawSocket, request: Head): void | Promise<void>;
}

/** Runs a server that answers by hand. `run` gets its URL and port. */
export async function withRawServer(
  { tls = false, answer }: RawServerOptions,
  run: (url: string, port: number) => Promise<void>,
): Promise<void> {
  const sockets: RawSocket[] = [];
  const answers: Promise<void>[] = [];
  const onSocket = (socket: Socket): void => {
    const raw = new RawSocket(socket);
    sockets.push(raw);
    const answered = raw.readHead().then(
      (request) => answer(raw, request),
      (reason: unknown) => {
        // A client that objects to the certificate leaves before it has sent a byte.
        if (tls === false || raw.unread > 0) throw reason;
      },
    );
    // Looked at in the end; meanwhile nobody handles it.
    answered.catch(() => {});
    answers.push(answered);
  };
  let server: Server;
  if (tls === false) server = createTcpServer({ allowHalfOpen: true }, onSocket);
  else {
    const certificate = tls === true ? await localCertificate() : tls;
    // Half open, node:tls would keep a client that leaves during the TLS handshake.
    server = createTlsServer(certificate, onSocket);
    // A client that does not trust us ends the TLS handshake with an alert.
    server.on('tlsClientError', () => {});
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    await run(`${tls === false ? 'ws' : 'wss'}://127.0.0.1:${port}`, port);
    await within('the raw server to finish', Promise.all(answers));
  } finally {
    for (const raw of sockets) raw.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}
