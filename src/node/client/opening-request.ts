import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RefusedResponse } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { deadline } from '../deadline.ts';

/** The most of a refusing response's body that is kept. */
const MAX_BODY = 64 * 1024;

/** The answer that switches protocols. */
export interface Switched {
  readonly response: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Sends the request, and waits for the answer that switches protocols. */
export function switched(
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

/** What a server answered in place of what it was asked for, to be told in an error. */
export function refused(response: IncomingMessage, body: string): RefusedResponse {
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
