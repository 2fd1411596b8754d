import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import type { Socket } from 'node:net';
import { nextTurn } from '../next-turn.ts';
import type { Attempt } from './attempt.ts';
import { connectError } from './connect-error.ts';

/** A session on which nothing is open is kept that long for the next socket. */
const IDLE_MS = 1_000;

/**
 * What one socket has unread is bounded by its stream's window, Node's 64 KiB. Node says that the session's is read as
 * soon as it has arrived, so that is no bound of memory, but of what all sockets together get in a round trip.
 */
const SESSION_WINDOW = 2 ** 20;

/** A session that many sockets share. */
export class SharedSession {
  /** Called once it takes no more streams. */
  onRetired: () => void = () => {};
  readonly #session: ClientHttp2Session;
  /** Those open, and those that somebody is about to open. */
  #streams = 0;
  #retired = false;
  #idle: NodeJS.Timeout | undefined = undefined;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
    session.on('close', () => this.retire());
    this.#rest();
  }

  /** Whether it takes no more streams, however many are open. */
  get isRetired(): boolean {
    return this.#retired || this.#session.closed || this.#session.destroyed;
  }

  /** Whether there may be one more stream (RFC 9113 5.1.2). */
  get hasRoom(): boolean {
    return !this.isRetired && this.#streams < maxStreams(this.#session.remoteSettings);
  }

  /** Keeps the place of a stream; `open` or `release` follows. */
  reserve(): void {
    this.#streams++;
    clearTimeout(this.#idle);
    this.#session.ref();
  }

  release(): void {
    this.#streams--;
    if (this.#streams === 0) this.#rest();
  }

  /**
   * Opens the stream whose place was kept.
   * @throws what Node throws where the session has ended.
   */
  open(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    try {
      const stream = this.#session.request(headers, { endStream: false });
      stream.on('error', () => {});
      stream.on('close', () => this.release());
      return stream;
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** No more streams; those open go on, and the session is closed after the last. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.onRetired();
    if (this.#streams === 0) this.#rest();
  }

  /** Nothing is open: the process need not go on for it. */
  #rest(): void {
    clearTimeout(this.#idle);
    this.#session.unref();
    if (this.#retired) this.#session.close();
    else this.#idle = setTimeout(() => this.retire(), IDLE_MS).unref();
  }
}

function maxStreams({ maxConcurrentStreams = Infinity }: Settings): number {
  return maxConcurrentStreams;
}

/**
 * Begins to speak HTTP/2 on a connection. Where that fails, or `attempt` is given up first, nothing is left of it.
 * @returns undefined where the server does not take WebSocket connections in this way.
 * @throws {ApertoError} CONNECT_FAILED. Why the attempt was given up.
 */
export function startSession(
  socket: Socket,
  encrypted: boolean,
  maxHeaderListSize: number,
  attempt: Attempt,
): Promise<SharedSession | undefined> {
  return new Promise((resolve, reject) => {
    const session = connect(encrypted ? 'https://localhost' : 'http://localhost', {
      createConnection: () => socket,
      settings: { enablePush: false, maxHeaderListSize },
      // Each socket has limits of its own; the 10 MB that Node allows a session are too few for a thousand of them.
      maxSessionMemory: 1024,
    });
    let failure: Error | undefined;
    const fail = (error: unknown): void => {
      reject(error);
      session.destroy();
    };
    session.on('error', (error: Error) => {
      failure = error;
    });
    const onClose = (): void => {
      // Who speaks no HTTP/2 cannot know what we want of it; with TLS it has said that it does.
      const cause = failure ?? new Error('the connection has ended before its settings came');
      if (encrypted) reject(connectError(cause, ''));
      else resolve(undefined);
    };
    session.on('close', onClose);
    session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW));
    // RFC 9113 3.4: the first that a server sends.
    session.once('remoteSettings', (settings) => {
      session.off('close', onClose);
      attempt.stop = () => {};
      // RFC 8441 3: without this setting there must be no `:protocol`.
      const isOffered = settings.enableConnectProtocol === true && maxStreams(settings) > 0;
      resolve(isOffered ? new SharedSession(session) : undefined);
      if (isOffered) return;
      session.unref();
      // Not while the session is busy with this very frame: Deno crashes of that.
      nextTurn(() => session.close());
    });
    attempt.stop = () => fail(attempt.reason);
    if (attempt.isGivenUp) attempt.stop();
  });
}
