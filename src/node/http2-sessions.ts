import type {
  Http2ServerRequest,
  Http2ServerResponse,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2';
import type { Server as NetServer } from 'node:net';
import { canBeAnswered, closeOnceFinished, endStream } from './http2-stream.ts';

/** How long a session of ours may be without a stream. Browsers keep one for their next request. */
const IDLE_MS = 60_000;

/** How long it has to end after that. */
const LINGER_MS = 5_000;

/** What of node:http2's server is used; the others have none of it. */
interface Http2Side {
  updateSettings?(settings: { enableConnectProtocol: boolean }): void;
}

/** The sessions of an HTTP server that speaks HTTP/2, and the streams on them that ask for WebSocket. */
export class Http2Sessions {
  readonly #http: NetServer;
  /** How many streams each session has, where the server is ours. Those of an application are its own to end. */
  readonly #sessions = new Map<ServerHttp2Session, number>();
  readonly #onSession = (session: ServerHttp2Session): void => {
    this.#sessions.set(session, 0);
    session.on('stream', (stream: ServerHttp2Stream) => {
      this.#count(session, 1);
      stream.on('close', () => this.#count(session, -1));
    });
    session.on('close', () => this.#sessions.delete(session));
    // Counted from the last that happened on it, and so from the end of its last stream.
    session.setTimeout(IDLE_MS, () => {
      if (this.#sessions.get(session) !== 0) return;
      session.close();
      // After too many resets Node leaves the connection open, and deaf.
      setTimeout(() => session.destroy(), LINGER_MS).unref();
    });
  };
  readonly #onStream: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: readonly string[],
  ) => void;
  /** Node's compatibility layer answers 405 to every CONNECT that nobody listens for. */
  readonly #onConnect = ({ headers }: Http2ServerRequest, response: Http2ServerResponse): void => {
    const isAlone = this.#http.listenerCount('connect') === 1;
    if (!isAlone || headers[':protocol'] !== undefined) return;
    response.statusCode = 405;
    // The client's side of it would stay open.
    closeOnceFinished(response.stream);
    response.end();
  };

  /** @param ask is asked for each extended CONNECT, with its raw headers; false where it is not for us. */
  constructor(
    http: NetServer & Http2Side,
    ownsHttp: boolean,
    ask: (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      rawHeaders: readonly string[],
    ) => boolean,
  ) {
    this.#http = http;
    this.#onStream = (stream, headers, _flags, rawHeaders) => {
      // RFC 8441 4: `:protocol` makes a CONNECT an extended one.
      if (headers[':method'] !== 'CONNECT' || headers[':protocol'] === undefined) return;
      const isOurs = ask(stream, headers, rawHeaders);
      // Where others listen, it may be for one of them.
      if (isOurs || http.listenerCount('stream') > 2 || http.listenerCount('connect') > 1) return;
      if (canBeAnswered(stream)) {
        stream.respond({ ':status': 404 });
        endStream(stream, true);
      }
    };
    if (http.updateSettings === undefined) return;
    // RFC 8441 3: clients may use extended CONNECT only where this was said.
    http.updateSettings({ enableConnectProtocol: true });
    if (ownsHttp) http.on('session', this.#onSession);
    http.on('stream', this.#onStream);
    http.on('connect', this.#onConnect);
  }

  /** Leaves streams to others. */
  stop(): void {
    this.#http.off('stream', this.#onStream);
    this.#http.off('connect', this.#onConnect);
  }

  /** Takes no more streams (GOAWAY, RFC 9113 6.8), and ends each session once its streams have ended. */
  closeSessions(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  destroySessions(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #count(session: ServerHttp2Session, streams: 1 | -1): void {
    const before = this.#sessions.get(session);
    if (before !== undefined) this.#sessions.set(session, before + streams);
  }
}
