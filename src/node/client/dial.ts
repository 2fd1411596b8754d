import { type Agent, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { connectionSettings } from '../../protocol/connection-settings.ts';
import { apertoError } from '../../protocol/errors.ts';
import {
  type CompressionCounters,
  newCounters,
} from '../../protocol/extensions/compression-counters.ts';
import {
  type CompressionOptions,
  type ResolvedCompression,
  resolveCompression,
} from '../../protocol/extensions/permessage-deflate.ts';
import { acceptFor, createKey } from '../../protocol/handshake/accept-key.ts';
import { checkResponse, requestFields } from '../../protocol/handshake/client-handshake.ts';
import { HeaderFields } from '../../protocol/handshake/header-fields.ts';
import { type Limits, resolveLimits } from '../../protocol/limits.ts';
import { agreedSettings } from '../compression/node-compression.ts';
import { nodePlatform } from '../node-platform.ts';
import { checkSharedReadBuffer, trySharedReads } from '../shared-read-buffer.ts';
import type { DriverSettings } from '../stream-driver.ts';
import { refused, switched } from './opening-request.ts';
import { parseWebSocketUrl, type Target } from './websocket-url.ts';

/** How a client connects, whatever its face is. */
export interface DialOptions {
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
  readonly limits?: Partial<Limits>;
  /**
   * Whether a plain TCP or Unix socket is read into one buffer that all connections share, which is faster;
   * ignored where a trial at the start shows that the runtime cannot. Default: true, but false with an
   * `agent`, whose sockets are not ours.
   */
  readonly sharedReadBuffer?: boolean;
}

/** Where to connect and how, checked. */
export interface DialPlan {
  readonly target: Target;
  readonly options: DialOptions;
  readonly protocols: readonly string[];
  readonly limits: Limits;
  readonly compression: ResolvedCompression | undefined;
  readonly sharedReadBuffer: boolean;
  /** Of the request, all but its key. */
  readonly fields: Readonly<Record<string, string>>;
}

/** @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION */
export function planDial(
  url: string | URL,
  protocols: readonly string[],
  options: DialOptions,
): DialPlan {
  const target = parseWebSocketUrl(url);
  const { headers = {}, agent, sharedReadBuffer = agent === undefined } = options;
  const compression = resolveCompression(
    options.compression === undefined ? true : options.compression,
  );
  return {
    target,
    options,
    protocols,
    limits: resolveLimits(options.limits),
    compression,
    sharedReadBuffer: checkSharedReadBuffer(sharedReadBuffer),
    fields: requestFields({ key: '', protocols, compression, headers }),
  };
}

/** A connection on which the opening handshake is done. */
export interface Dialled {
  readonly socket: Duplex;
  /** What came behind the answer. */
  readonly head: Buffer;
  /** The subprotocol and the extensions agreed on; '' for none. */
  readonly protocol: string;
  readonly extensions: string;
  readonly counters: CompressionCounters;
  readonly settings: DriverSettings;
}

/**
 * Connects, and does the opening handshake (RFC 6455 4.1).
 * @throws {ApertoError} CONNECT_FAILED with its `cause`; HANDSHAKE_TIMEOUT; STATUS_NOT_101 and the other
 * codes of a refused or wrong handshake, with `response`. The signal's reason where that aborted it.
 */
export async function dial(plan: DialPlan, signal?: AbortSignal): Promise<Dialled> {
  const { target, options, protocols, limits, compression, sharedReadBuffer } = plan;
  const { tls, agent } = options;
  signal?.throwIfAborted();
  if (sharedReadBuffer && !target.encrypted) {
    await trySharedReads();
    signal?.throwIfAborted();
  }
  const key = createKey(nodePlatform);
  const send = target.encrypted ? httpsRequest : httpRequest;
  const request = send({
    ...(target.encrypted ? tls : {}),
    method: 'GET',
    host: target.host,
    port: target.port,
    socketPath: target.socketPath,
    path: target.path,
    headers: { ...plan.fields, 'Sec-WebSocket-Key': key },
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
  const { protocol, extensions, agreement } = answer;
  const counters = newCounters();
  const agreed = agreedSettings(agreement, compression, counters);
  const settings = {
    ...connectionSettings(nodePlatform, limits, false, agreed),
    sharedReadBuffer,
  };
  return { socket, head, protocol, extensions, counters, settings };
}
