import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { ApertoError } from '../../protocol/aperto-error.ts';
import { extendedConnectFields } from '../../protocol/handshake/extended-connect.ts';
import { resetStream } from '../http2-stream.ts';
import { type Answer, type ResponseHead, readBody } from './answer.ts';
import type { Attempt } from './attempt.ts';
import { connectError } from './connect-error.ts';
import type { DialPlan } from './dial-plan.ts';
import type { SharedSession } from './http2-session.ts';
import { type Hop, urlOf } from './redirects.ts';

/**
 * Sends an extended CONNECT (RFC 8441 4) over a session on which a place is kept for it, and waits for the head of
 * the answer. Where that fails, or `attempt` is given up first, nothing is left of the stream.
 * @returns an error where the server refused the stream before it looked at it (RFC 9113 8.7).
 * @throws {ApertoError} CONNECT_FAILED. Why the attempt was given up.
 */
export function askOverHttp2(
  plan: DialPlan,
  hop: Hop,
  session: SharedSession,
  attempt: Attempt,
): Promise<Answer | ApertoError> {
  return new Promise((resolve, reject) => {
    const stream = opened(session, requestHeaders(plan, hop));
    let failure: Error | undefined;
    const onError = (error: Error): void => {
      failure = error;
    };
    const onClose = (): void => {
      const { rstCode } = stream;
      const cause = failure ?? new Error(`the stream was reset with ${rstCode} before the answer`);
      const error = connectError(cause, '');
      if (rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve(error);
      else reject(error);
    };
    stream.on('error', onError);
    stream.on('close', onClose);
    // The header fields as they came are a third argument, for which there are no types.
    stream.on('response', (headers: IncomingHttpHeaders, _: unknown, raw: readonly string[]) => {
      stream.off('error', onError);
      stream.off('close', onClose);
      if (listSize(raw) > plan.maxHeaderSize) {
        resetStream(stream);
        return reject(connectError(new Error('the head of the answer is too large'), ''));
      }
      const response = headOf(headers, raw);
      const end = (): void => resetStream(stream);
      const granted = response.statusCode >= 200 && response.statusCode <= 299;
      // Whose connection it is from now on, ends it.
      attempt.stop = granted ? () => {} : end;
      const body = granted ? Promise.resolve('') : readBody(stream);
      const connection = { socket: stream, head: Buffer.alloc(0) };
      resolve({ response, raw: granted ? connection : undefined, body, end });
    });
    attempt.stop = () => {
      reject(attempt.reason);
      resetStream(stream);
      // Perhaps nobody is at the other end any more: whoever comes next tries another session.
      if (attempt.reason instanceof ApertoError) session.retire();
    };
    if (attempt.isGivenUp) attempt.stop();
  });
}

/** @throws {ApertoError} CONNECT_FAILED where the session has ended. */
function opened(session: SharedSession, headers: OutgoingHttpHeaders): ClientHttp2Stream {
  try {
    return session.open(headers);
  } catch (error) {
    throw connectError(error instanceof Error ? error : new Error(String(error)), '');
  }
}

// RFC 9113 8.2.2: these are about a connection of HTTP/1.1, and must not be sent.
const forHttp1: ReadonlySet<string> = new Set([
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
]);

function requestHeaders(
  { protocols, compression }: DialPlan,
  { target, headers }: Hop,
): OutgoingHttpHeaders {
  const { host, ...fields } = extendedConnectFields({ protocols, compression, headers });
  const sent = Object.entries(fields).filter(([name]) => !forHttp1.has(name));
  return {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': target.encrypted ? 'https' : 'http',
    ':path': target.path,
    // RFC 9113 8.3.1: it stands for Host.
    ':authority': host ?? urlOf(target).host,
    ...Object.fromEntries(sent),
  };
}

// RFC 9113 6.5.2: so it is counted.
function listSize(raw: readonly string[]): number {
  return raw.reduce((size, text) => size + text.length + 16, 0);
}

/** The head without its pseudo-header fields. */
function headOf(
  headers: ResponseHead['headers'],
  raw: readonly string[],
): ResponseHead & { readonly statusCode: number } {
  const isOrdinary = (name: string): boolean => !name.startsWith(':');
  return {
    statusCode: Number(headers[':status']),
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => isOrdinary(name))),
    rawHeaders: raw.filter((_, at) => isOrdinary(raw[at - (at % 2)] ?? '')),
  };
}
