import { randomUUID } from 'node:crypto';
import type { ServerOptions as HttpsOptions } from 'node:https';
import {
  CloseCode,
  type CloseOptions,
  type Route,
  type Server,
  type ServerHealth,
  serve,
  type UpgradeRequest,
} from 'aperto';
import { ChatLines } from './chat-lines.ts';
import { Conversation } from './conversation.ts';
import { isEngineAway, memoryEngine, type OpenEngine } from './engine.ts';
import { answerHealth } from './health.ts';
import { type ChatLimits, defaultChatLimits } from './limits.ts';
import { roomOfTopic } from './room.ts';
import { Rooms } from './rooms.ts';
import { type Dialect, inTurn, isSuperchat, type Session, type Visitor } from './session.ts';
import { StaticFiles } from './static-files.ts';
import { Superchat } from './superchat.ts';
import { TokenBucket } from './token-bucket.ts';

export interface ChatOptions {
  /** Default 8080; 0 for any that is free. */
  readonly port?: number;
  /** Default 127.0.0.1: this machine only. */
  readonly host?: string;
  /** A certificate and its key: https: and wss:. Default none. */
  readonly tls?: HttpsOptions;
  /** Origins whose pages may connect, besides the chat's own page. Default none. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<ChatLimits>;
  /** What rooms are kept in, and carried to other servers by. Default: this process. */
  readonly engine?: OpenEngine;
  /** Milliseconds since 1970 UTC. Default `Date.now`. */
  readonly now?: () => number;
  /** Called with what went wrong unasked: in a handler, or at the engine. Default: console.error. */
  readonly onError?: (error: unknown) => void;
  /** The engine is away, or back; or the server is closing. */
  readonly onHealth?: (health: ServerHealth) => void;
}

export interface ChatServer extends AsyncDisposable {
  readonly port: number;
  /** Where the page is. */
  readonly url: string;
  readonly health: ServerHealth;
  /**
   * Ends it: every visitor is told, at once and with 1001 unless the options say otherwise, and who does not answer in 5
   * seconds is cut off. Resolves when nothing is left.
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Starts the chat: the page and `/chat` on one port.
 * Rejects where the page was not built or the address cannot be listened on.
 */
export async function startChat(options: ChatOptions = {}): Promise<ChatServer> {
  const limits: ChatLimits = { ...defaultChatLimits, ...options.limits };
  const onError = options.onError ?? ((error: unknown) => console.error(error));
  const files = await StaticFiles.load();
  // An engine that is away is told by the server, once and not for each message.
  const failed = (error: unknown) => {
    if (!isEngineAway(error)) onError(error);
  };

  const engine = await (options.engine ?? memoryEngine)({
    limits,
    gone(topic, members) {
      const room = rooms.get(roomOfTopic(topic));
      for (const name of members) room?.left(name);
    },
  });
  const rooms = new Rooms(
    {
      id: randomUUID(),
      // Rooms are opened for visitors, of whom there are none before it is there.
      server: () => server,
      history: engine.history,
      presence: engine.presence,
      historyMessages: limits.historyMessages,
      failed,
    },
    limits,
  );
  const conversation = new Conversation(rooms, limits, options.now ?? Date.now, failed);
  const leaving = new Set<Promise<void>>();
  const closeEngine = async () => {
    await Promise.allSettled(leaving);
    rooms.close();
    await engine.presence.close();
    await engine.close();
  };

  const { host = '127.0.0.1', port = 8080, tls, onHealth } = options;
  const server: Server<Session> = await serve<Session>({
    port,
    host,
    onError,
    ...(tls === undefined ? {} : { tls }),
    ...(engine.broker === undefined ? {} : { broker: engine.broker }),
    ...(onHealth === undefined ? {} : { onHealth }),
    request(request, response) {
      if (!answerHealth(request, response, server.health)) files.answer(request, response);
    },
    routes: { '/chat': chatRoute(conversation, leaving, options) },
  }).catch(async (error) => {
    await closeEngine();
    throw error;
  });

  let closed: Promise<void> | undefined;
  const close = ({
    code = CloseCode.GOING_AWAY,
    timeoutMs = 5_000,
    ...others
  }: CloseOptions = {}) => {
    closed ??= server.close({ ...others, code, timeoutMs }).then(closeEngine);
    return closed;
  };
  return {
    port: server.port,
    url: `${server.url.replace(/^ws/, 'http')}/`,
    get health() {
      return server.health;
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

function chatRoute(
  conversation: Conversation,
  leaving: Set<Promise<void>>,
  { now = Date.now, origins = [] }: ChatOptions,
): Route<Session> {
  const { limits } = conversation;
  const lines = new ChatLines(conversation);
  const superchat = new Superchat(conversation);
  // No subprotocol means `chat`.
  const dialectOf = (peer: Visitor): Dialect => (isSuperchat(peer) ? superchat : lines);
  return {
    protocols: ['chat', 'superchat'],
    origins: ['same-origin', ...origins],
    limits: {
      // A message somewhat too long gets an answer; only one far too long ends the connection.
      maxMessageBytes: 256 * 1024,
      // Who joins a room may be given 0.8 MiB: a hundred texts of 4 KiB, all of them quotation
      // marks, which JSON escapes. So it stays below the usual limit of clients, 1 MiB, too.
      maxBufferedBytes: 4 * 1024 * 1024,
    },
    upgrade(request) {
      return {
        askedRoom: askedRoom(request),
        bucket: new TokenBucket(limits.messagesPerSecond, now()),
        seats: new Map(),
        turn: Promise.resolve(),
        full: false,
        resume: undefined,
      };
    },
    open: (peer) => inTurn(peer, () => dialectOf(peer).open(peer)),
    async message(peer, data) {
      const dialect = dialectOf(peer);
      const text = typeof data === 'string' ? data : undefined;
      if (!peer.data.bucket.take(now())) dialect.tooFast(peer, text);
      else if (text === undefined) dialect.binary(peer);
      else await inTurn(peer, () => dialect.text(peer, text));
      // Who asks faster than it reads the answers is not read further meanwhile.
      if (!peer.data.full) return;
      await new Promise<void>((resolve) => {
        peer.data.resume = resolve;
      });
    },
    drain: resume,
    close(peer) {
      resume(peer);
      const left = inTurn(peer, () => conversation.leaveAll(peer));
      leaving.add(left);
      return left.finally(() => leaving.delete(left));
    },
  };
}

function resume(peer: Visitor): void {
  const { resume: goOn } = peer.data;
  peer.data.full = false;
  peer.data.resume = undefined;
  goOn?.();
}

function askedRoom(request: UpgradeRequest): string {
  const at = request.url.indexOf('?');
  const query = new URLSearchParams(at === -1 ? '' : request.url.slice(at));
  return query.get('room') || 'lobby';
}
