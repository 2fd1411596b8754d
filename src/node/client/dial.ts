import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connectionSettings } from '../../protocol/connection-settings.ts';
import { apertoError } from '../../protocol/errors.ts';
import {
  type CompressionCounters,
  newCounters,
} from '../../protocol/extensions/compression-counters.ts';
import { acceptFor, createKey } from '../../protocol/handshake/accept-key.ts';
import { checkResponse } from '../../protocol/handshake/client-handshake.ts';
import { HeaderFields } from '../../protocol/handshake/header-fields.ts';
import { agreedSettings } from '../compression/node-compression.ts';
import { deadline } from '../deadline.ts';
import { nodePlatform } from '../node-platform.ts';
import { trySharedReads } from '../shared-read-buffer.ts';
import type { DriverSettings } from '../stream-driver.ts';
import { onAbort } from './abort-listener.ts';
import { type Answer, type RawConnection, readRefused, refused } from './answer.ts';
import { Attempt } from './attempt.ts';
import type { DialPlan } from './dial-plan.ts';
import { ask } from './opening-request.ts';
import { type Hop, locationsOf, nextHop } from './redirects.ts';

export { type DialOptions, type DialPlan, planDial } from './dial-plan.ts';

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
 * @throws {ApertoError} CONNECT_FAILED with its `cause`; CERTIFICATE_NAME; HANDSHAKE_TIMEOUT; PROXY_REFUSED,
 * REDIRECT_REFUSED, STATUS_NOT_101 and the other codes of a refused or wrong handshake, with `response`. The
 * signal's reason where that aborted it.
 */
export async function dial(plan: DialPlan, signal?: AbortSignal): Promise<Dialled> {
  signal?.throwIfAborted();
  const attempt = new Attempt();
  const timer = deadline(plan.limits.handshakeTimeoutMs, () => {
    attempt.giveUp(apertoError('HANDSHAKE_TIMEOUT'));
  });
  const forget = signal && onAbort(signal, () => attempt.giveUp(signal.reason));
  try {
    return await shakeHands(plan, attempt);
  } catch (error) {
    // What time ran out for may be told as what it had come to; who aborts wants to hear of nothing else.
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    forget?.();
  }
}

/** Asks, and asks elsewhere where it is told to. */
async function shakeHands(plan: DialPlan, attempt: Attempt): Promise<Dialled> {
  const { agent } = plan.options;
  let { hop } = plan;
  for (let left = plan.maxRedirects; ; left--) {
    const proxy = plan.proxyFor(hop.target);
    const { sharedReadBuffer = agent === undefined && proxy === undefined } = plan.options;
    if (sharedReadBuffer && !hop.target.encrypted) await trySharedReads();
    const key = createKey(nodePlatform);
    const answer = await ask(plan, hop, proxy, key, attempt);
    const { response, raw } = answer;
    if (raw !== undefined) return judged(plan, key, response, raw, sharedReadBuffer);
    hop = await redirected(plan, hop, left, answer);
  }
}

/** Where to ask next. */
async function redirected(
  { maxRedirects }: DialPlan,
  hop: Hop,
  left: number,
  answer: Answer,
): Promise<Hop> {
  const locations = maxRedirects === 0 ? undefined : locationsOf(answer.response);
  if (locations === undefined) {
    const detail = `status ${answer.response.statusCode}`;
    const refusal = await readRefused(answer);
    throw apertoError('STATUS_NOT_101', { detail, response: refusal });
  }
  const next = left === 0 ? `more than maxRedirects, ${maxRedirects}` : nextHop(hop, locations);
  if (typeof next === 'string') {
    const refusal = await readRefused(answer);
    throw apertoError('REDIRECT_REFUSED', { detail: next, response: refusal });
  }
  answer.end();
  return next;
}

/** The connection, if the answer to the opening handshake is as it must be. */
function judged(
  { protocols, compression, limits }: DialPlan,
  key: string,
  response: IncomingMessage,
  { socket, head }: RawConnection,
  sharedReadBuffer: boolean,
): Dialled {
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
