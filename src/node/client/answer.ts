import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { RefusedResponse } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';
import type { Attempt } from './attempt.ts';
import { connectError } from './connect-error.ts';

/** The most of a refusing response's body that is kept. */
const MAX_BODY = 64 * 1024;

/** The head of a response, as an IncomingMessage has it. */
export interface ResponseHead {
  readonly statusCode?: number | undefined;
  readonly headers: RefusedResponse['headers'];
  /** Name, value, name, value. */
  readonly rawHeaders: readonly string[];
}

/** What a request was answered with. */
export interface Answer {
  readonly response: ResponseHead;
  /** What the connection has become; undefined where it still speaks HTTP. */
  readonly raw: RawConnection | undefined;
  /** The first part of the body; whatever could be read of it where it breaks off, or where the attempt is given up. */
  readonly body: Promise<string>;
  /** Ends that connection. One that an agent made and that is free again is the agent's. */
  end(): void;
}

/** A connection on which HTTP is over: protocols were switched, or a proxy has answered to CONNECT. */
export interface RawConnection {
  readonly socket: Duplex;
  /** What came behind the answer. */
  readonly head: Buffer;
}

/**
 * Sends a request and waits for the head of the answer. Where it fails, or `attempt` is given up first, nothing is
 * left of its connection.
 * @param own the connection, where it is not an agent's; nobody but us would close it.
 * @param whose connection it is, for `connectError`.
 * @throws {ApertoError} CONNECT_FAILED, CERTIFICATE_NAME; RESPONSE_UPGRADE, RESPONSE_CONNECTION. Why the
 * attempt was given up.
 */
export function answerTo(
  request: ClientRequest,
  own: Socket | undefined,
  attempt: Attempt,
  whose: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error);
      request.destroy();
      own?.destroy();
    };
    const done = (
      response: IncomingMessage,
      raw: RawConnection | undefined,
      body: Promise<string>,
    ): void => {
      const end = (): void => {
        response.destroy();
        own?.destroy();
      };
      resolve({ response, raw, body, end });
    };
    const onRaw = (response: IncomingMessage, socket: Duplex, head: Buffer): void => {
      // Whose connection it is from now on, destroys it.
      attempt.stop = () => {};
      done(response, { socket, head }, Promise.resolve(''));
    };
    request.on('error', (cause) => fail(connectError(cause, whose)));
    request.on('upgrade', onRaw);
    request.on('connect', onRaw);
    request.on('response', (response) => {
      // Read from now on: what comes with the head may break off before anybody has seen that.
      if (response.statusCode !== 101) return done(response, undefined, readBody(response));
      // To Node, a 101 that lacks Upgrade or Connection is a response like any other.
      const lacking = response.headers.upgrade === undefined;
      const code = lacking ? 'RESPONSE_UPGRADE' : 'RESPONSE_CONNECTION';
      fail(apertoError(code, { response: refused(response, '') }));
    });
    attempt.stop = () => fail(attempt.reason);
    if (attempt.isGivenUp) attempt.stop();
    else request.end();
  });
}

/** What was answered in place of what was asked for, to be told in an error. */
export function refused(response: ResponseHead, body: string): RefusedResponse {
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** The same with the body. The connection is ended. */
export async function readRefused({ response, body, end }: Answer): Promise<RefusedResponse> {
  const text = await body;
  end();
  return refused(response, text);
}

/** Reads as much of a body as is kept. It never fails. */
export function readBody(response: Readable): Promise<string> {
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
