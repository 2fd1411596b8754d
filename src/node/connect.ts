import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { RefusedResponse } from '../protocol/aperto-error.ts';
import { connectionSettings } from '../protocol/connection-settings.ts';
import { apertoError } from '../protocol/errors.ts';
import { newCounters } from '../protocol/extensions/compression-counters.ts';
import {
  type CompressionOptions,
  resolveCompression,
} from '../protocol/extensions/permessage-deflate.ts';
import { acceptFor, createKey } from '../protocol/handshake/accept-key.ts';
import { checkResponse, requestFields } from '../protocol/handshake/client-handshake.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { agreedSettings } from './compression/node-compression.ts';
import { deadline } from './deadline.ts';
import { nodePlatform } from './node-platform.ts';
import { ClientPeer } from './peer.ts';
import { type PeerHandlers, PeerSession, type SlowPeerPolicy } from './peer-session.ts';
import { checkSlowPeers } from './routes.ts';
import { checkSharedReadBuffer, trySharedReads } from './shared-read-buffer.ts';
import { parseWebSocketUrl } from './websocket-url.ts';

/**
 * Without a `message` handler, messages wait for `for await (const message of peer)`. Once
 * `limits.highWaterMarkBytes` of them wait the server is read no further, so that then nothing is heard of
 * it: no ping is answered and no close noticed until somebody reads.
 */
export interface ConnectOptions extends PeerHandlers<ClientPeer> {
  /** Subprotocols to offer, the preferred first. Default: none. */
  readonly protocols?: readonly string[];
  /**
   * Whether, and how, compression is offered (permessage-deflate, RFC 7692); the server decides. `true` takes
   * the defaults. Default true.
   */
  readonly compression?: boolean | CompressionOptions;
  /** Further headers: Origin, Cookie, Authorization, Host and such. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For `wss:`: certificates, `rejectUnauthorized`, `servername` and what else node:tls takes. */
  readonly tls?: ConnectionOptions;
  /** Makes the TCP or TLS connection, for example through a proxy. Default: a direct one. */
  readonly agent?: Agent;
  /** Gives up the opening handshake. Without effect afterwards. */
  readonly signal?: AbortSignal;
  readonly limits?: Partial<Limits>;
  /**
   * Whether a plain TCP or Unix socket is read into one buffer that all connections share, which is faster;
   * ignored where a trial at the start shows that the runtime cannot. Default: true, but false with an
   * `agent`, whose sockets are not ours.
   */
  readonly sharedReadBuffer?: boolean;
  /** What happens where the server takes data too slowly. Default `close`. */
  readonly slowPeers?: SlowPeerPolicy;
  /** Where exceptions of handlers go. Default: `console.error`. */
  onError?(error: unknown, peer: ClientPeer): void;
}

/** The most of a refusing response's body that is kept. */
const MAX_BODY = 64 * 1024;

/**
 * Connects to a server over `ws:`, `wss:` or `ws+unix:/path/to.sock:/request/path`. Resolves when the
 * connection is open.
 * @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION for misuse;
 * CONNECT_FAILED with its `cause`; HANDSHAKE_TIMEOUT; STATUS_NOT_101 and the other codes of a refused or
 * wrong handshake (RFC 6455 4.1), with `response`. The signal's reason where that aborted it.
 */
export async function connect(
  url: string | URL,
  options: ConnectOptions = {},
): Promise<ClientPeer> {
  const target = parseWebSocketUrl(url);
  const limits = resolveLimits(options.limits);
  const slowPeers = checkSlowPeers(options.slowPeers);
  const { protocols = [], headers = {}, tls, agent, signal } = options;
  const sharedReadBuffer = checkSharedReadBuffer(options.sharedReadBuffer ?? agent === undefined);
  const key = createKey(nodePlatform);
  const compression = resolveCompression(
    options.compression === undefined ? true : options.compression,
  );
  const fields = requestFields({ key, protocols, compression, headers });
  signal?.throwIfAborted();
  if (sharedReadBuffer && !target.encrypted) {
    await trySharedReads();
    signal?.throwIfAborted();
  }
  const send = target.encrypted ? httpsRequest : httpRequest;
  const request = send({
    ...(target.encrypted ? tls : {}),
    method: 'GET',
    host: target.host,
    port: target.port,
    socketPath: target.socketPath,
    path: target.path,
    headers: fields,
    // A connection of its own, not one of the global agent's, which it would keep a place of.
    agent: agent ?? false,
    maxHeaderSize: Math.min(limits.maxHeaderBytes, 2 ** 31 - 1),
  });
  const { response, socket, head } = await switched(request, limits, signal);
  const answer = checkResponse(
    { status: response.statusCode ?? 0, fields: new HeaderFields(response.rawHeaders) },
    { accept: acceptFor(key, nodePlatform), protocols, compression },
  );
  if ('reject' in answer) {
    socket.destroy();
    throw apertoError(answer.reject, { response: refused(response, '') });
  }
  const { onError } = options;
  const { protocol, extensions, agreement } = answer;
  const counters = newCounters();
  const agreed = agreedSettings(agreement, compression, counters);
  const session = new PeerSession<ClientPeer>(
    socket,
    protocol,
    {
      ...connectionSettings(nodePlatform, limits, false, agreed),
      extensions,
      counters,
      sharedReadBuffer,
      handlers: options,
      slowPeers,
      onError: (error, peer) =>
        onError === undefined ? console.error(error) : onError(error, peer),
      flushPublished() {},
      onClosed() {},
      onDropped() {},
    },
    (made) => new ClientPeer(made),
  );
  session.openForReading(head);
  return session.peer;
}

interface Switched {
  readonly response: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Sends the request, and waits for the answer that switches protocols. */
function switched(
  request: ClientRequest,
  limits: Limits,
  signal: AbortSignal | undefined,
): Promise<Switched> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown): void => {
      finish();
      reject(error);
      request.destroy();
    };
    const onAbort = (): void => fail(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    let refusing: IncomingMessage | undefined;
    const timer = deadline(limits.handshakeTimeoutMs, () => {
      // A refusal that stops halfway is a refusal.
      if (refusing === undefined) fail(apertoError('HANDSHAKE_TIMEOUT'));
      else refusing.destroy();
    });
    request.on('error', (cause) => {
      fail(apertoError('CONNECT_FAILED', { detail: cause.message, cause }));
    });
    request.on('upgrade', (response, socket, head) => {
      finish();
      resolve({ response, socket, head });
    });
    request.on('response', (response) => {
      if (response.statusCode === 101) {
        // To Node, a 101 that lacks Upgrade or Connection is a response like any other.
        const lacking = response.headers.upgrade === undefined;
        const code = lacking ? 'RESPONSE_UPGRADE' : 'RESPONSE_CONNECTION';
        fail(apertoError(code, { response: refused(response, '') }));
        return;
      }
      refusing = response;
      readBody(response).then((body) => {
        const error = {
          detail: `status ${response.statusCode}`,
          response: refused(response, body),
        };
        fail(apertoError('STATUS_NOT_101', error));
      });
    });
    request.end();
  });
}

function refused(response: IncomingMessage, body: string): RefusedResponse {
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** The first part of a body; whatever could be read of it where it breaks off. */
function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (): void => {
      resolve(Buffer.concat(chunks).subarray(0, MAX_BODY).toString('utf8'));
    };
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= MAX_BODY) done();
    });
    response.on('error', done);
    response.on('close', done);
    response.on('end', done);
  });
}
