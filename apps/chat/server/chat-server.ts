import type { ServerOptions as HttpsOptions } from 'node:https';
import { CloseCode, type Server, serve, type UpgradeRequest } from 'aperto';
import { ChatLines } from './chat-lines.ts';
import { Conversation } from './conversation.ts';
import { type ChatLimits, defaultChatLimits } from './limits.ts';
import type { Dialect, Session, Visitor } from './session.ts';
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
  /** Milliseconds since 1970 UTC. Default `Date.now`. */
  readonly now?: () => number;
  /** Called with what a handler threw. Default: console.error. */
  readonly onError?: (error: unknown) => void;
}

export interface ChatServer extends AsyncDisposable {
  readonly port: number;
  /** Where the page is. */
  readonly url: string;
  /** Tells every visitor that the server goes away (1001), and resolves when nothing is left. */
  close(): Promise<void>;
}

/**
 * Starts the chat: the page and `/chat` on one port.
 * Rejects where the page was not built or the address cannot be listened on.
 */
export async function startChat(options: ChatOptions = {}): Promise<ChatServer> {
  const limits: ChatLimits = { ...defaultChatLimits, ...options.limits };
  const now = options.now ?? Date.now;
  const files = await StaticFiles.load();

  const conversation = new Conversation(limits, now);
  const lines = new ChatLines(conversation);
  const superchat = new Superchat(conversation);
  // No subprotocol means `chat`.
  const dialectOf = (peer: Visitor): Dialect => (peer.protocol === 'superchat' ? superchat : lines);

  const server: Server<Session> = await serve<Session>({
    port: options.port ?? 8080,
    host: options.host ?? '127.0.0.1',
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.onError === undefined ? {} : { onError: options.onError }),
    request: (request, response) => files.answer(request, response),
    routes: {
      '/chat': {
        protocols: ['chat', 'superchat'],
        origins: ['same-origin', ...(options.origins ?? [])],
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
            full: false,
            resume: undefined,
          };
        },
        open(peer) {
          dialectOf(peer).open(peer);
        },
        message(peer, data) {
          const dialect = dialectOf(peer);
          const text = typeof data === 'string' ? data : undefined;
          if (!peer.data.bucket.take(now())) dialect.tooFast(peer, text);
          else if (text === undefined) dialect.binary(peer);
          else dialect.text(peer, text);
          // Who asks faster than it reads the answers is not read further meanwhile.
          if (!peer.data.full) return undefined;
          return new Promise<void>((resolve) => {
            peer.data.resume = resolve;
          });
        },
        drain: resume,
        close(peer) {
          resume(peer);
          conversation.leaveAll(peer);
        },
      },
    },
  });

  const close = () => server.close({ code: CloseCode.GOING_AWAY, timeoutMs: 5000 });
  return {
    port: server.port,
    url: `${server.url.replace(/^ws/, 'http')}/`,
    close,
    [Symbol.asyncDispose]: close,
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
