import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApertoError } from '../../protocol/aperto-error.ts';
import { connectionSettings } from '../../protocol/connection-settings.ts';
import { apertoError } from '../../protocol/errors.ts';
import {
  type CompressionCounters,
  newCounters,
} from '../../protocol/extensions/compression-counters.ts';
import { acceptFor, createKey } from '../../protocol/handshake/accept-key.ts';
import { checkResponse } from '../../protocol/handshake/client-handshake.ts';
import { checkConnected } from '../../protocol/handshake/extended-connect.ts';
import { HeaderFields } from '../../protocol/handshake/header-fields.ts';
import { agreedSettings } from '../compression/node-compression.ts';
import { deadline } from '../deadline.ts';
import { resetStream } from '../http2-stream.ts';
import { nodePlatform } from '../node-platform.ts';
import { trySharedReads } from '../shared-read-buffer.ts';
import type { DriverSettings } from '../stream-driver.ts';
import { newTraffic } from '../traffic.ts';
import { onAbort } from './abort-listener.ts';
import { type Answer, type RawConnection, readRefused, refused } from './answer.ts';
import { Attempt } from './attempt.ts';
import type { DialPlan } from './dial-plan.ts';
import { findSession } from './http2-pool.ts';
import { askOverHttp2 } from './http2-request.ts';
import { SharedSession } from './http2-session.ts';
import { ask } from './opening-request.ts';
import type { HttpProxy } from './proxy.ts';
import { type Hop, locationsOf, nextHop } from './redirects.ts';

export { type DialOptions, type DialPlan, planDial } from './dial-plan.ts';

/** Of all clients: nobody looks at it. */
const traffic = newTraffic();

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
  let { hop } = plan;
  for (let left = plan.maxRedirects; ; left--) {
    const asked = await askFor(plan, hop, attempt);
    const { raw } = asked.answer;
    if (raw !== undefined) return judged(plan, asked, raw);
    hop = await redirected(plan, hop, left, asked.answer);
  }
}

/** An answer to the opening handshake. */
interface Asked {
  readonly answer: Answer;
  /** What the answer has to accept; undefined over HTTP/2. */
  readonly accept: string | undefined;
  readonly sharedReadBuffer: boolean;
}

/** Asks over HTTP/2 where that can be, else over HTTP/1.1. */
async function askFor(plan: DialPlan, hop: Hop, attempt: Attempt): Promise<Asked> {
  const { agent, http2 } = plan.options;
  const proxy = plan.proxyFor(hop.target);
  const mayBeHttp2 = http2 !== false && agent === undefined;
  const found = mayBeHttp2 ? await askedOverHttp2(plan, hop, proxy, attempt) : undefined;
  if (found !== undefined && 'answer' in found) return found;
  const { sharedReadBuffer = agent === undefined && proxy === undefined } = plan.options;
  if (sharedReadBuffer && !hop.target.encrypted) await trySharedReads();
  const key = createKey(nodePlatform);
  const answer = await ask(plan, hop, proxy, key, attempt, found);
  return { answer, accept: acceptFor(key, nodePlatform), sharedReadBuffer };
}

/** The answer over HTTP/2. Where it must be HTTP/1.1: a connection for that, if there is one. */
async function askedOverHttp2(
  plan: DialPlan,
  hop: Hop,
  proxy: HttpProxy | undefined,
  attempt: Attempt,
): Promise<Asked | Socket | undefined> {
  for (let isAgain = false; ; isAgain = true) {
    const session = await findSession(plan, hop, proxy, attempt);
    if (!(session instanceof SharedSession)) return session;
    const answer = await askOverHttp2(plan, hop, session, attempt);
    if (!(answer instanceof ApertoError)) {
      return { answer, accept: undefined, sharedReadBuffer: false };
    }
    // RFC 9113 8.7: what was refused may be asked again.
    if (isAgain) throw answer;
    session.retire();
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
  { answer: { response }, accept, sharedReadBuffer }: Asked,
  { socket, head }: RawConnection,
): Dialled {
  const given = {
    status: response.statusCode ?? 0,
    fields: new HeaderFields(response.rawHeaders),
  };
  const expected = { protocols, compression };
  const answer =
    accept === undefined
      ? checkConnected(given, expected)
      : checkResponse(given, { ...expected, accept });
  if ('reject' in answer) {
    resetStream(socket);
    throw apertoError(answer.reject, { response: refused(response, '') });
  }
  const { protocol, extensions, agreement } = answer;
  const counters = newCounters();
  const agreed = agreedSettings(agreement, compression, counters);
  const settings = {
    ...connectionSettings(nodePlatform, limits, false, agreed),
    sharedReadBuffer,
    traffic,
  };
  return { socket, head, protocol, extensions, counters, settings };
}
