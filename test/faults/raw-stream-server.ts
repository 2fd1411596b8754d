import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { localCertificate } from './certificate.ts';
import { RawSocket, within } from './raw-socket.ts';

/** Runs a server of HTTP/2 that grants every WebSocket, with these headers; `answer` has its stream by hand. */
export async function withRawStreamServer(
  tls: boolean,
  fields: Readonly<Record<string, string>>,
  answer: (raw: RawSocket) => Promise<void>,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const settings = { enableConnectProtocol: true };
  const server: Http2Server | Http2SecureServer = tls
    ? createSecureServer({ ...(await localCertificate()), settings })
    : createServer({ settings });
  const answers: Promise<void>[] = [];
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream) => {
    const raw = new RawSocket(stream);
    stream.respond({ ':status': 200, ...fields });
    const answered = answer(raw);
    // Looked at in the end; meanwhile nobody handles it.
    answered.catch(() => {});
    answers.push(answered);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    await run(`${tls ? 'wss' : 'ws'}://127.0.0.1:${port}`);
    await within('the raw server to finish', Promise.all(answers));
  } finally {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}
