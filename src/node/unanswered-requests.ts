import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Knows which connections still owe an answer to a plain request. Answers come in the order of requests
 * (RFC 9112 9.3.2), so an upgrade sent behind such a request cannot be granted: that answer would end up
 * among our frames.
 */
export class UnansweredRequests {
  readonly #http: NetServer;
  readonly #heard: (socket: Duplex) => void;
  readonly #responses = new WeakMap<Duplex, Set<ServerResponse>>();
  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // A stream of HTTP/2 is answered by itself.
    if (request.httpVersionMajor > 1) return;
    const { socket } = request;
    this.#heard(socket);
    const responses = this.#responses.get(socket) ?? new Set();
    this.#responses.set(socket, responses.add(response));
    response.on('close', () => responses.delete(response));
  };

  /** @param heard is told of each connection on which a request came. */
  constructor(http: NetServer, heard: (socket: Duplex) => void) {
    this.#http = http;
    this.#heard = heard;
    http.on('request', this.#onRequest);
  }

  has(socket: Duplex): boolean {
    for (const response of this.#responses.get(socket) ?? []) {
      if (!response.writableEnded) return true;
    }
    return false;
  }

  /**
   * Whether our direction is ended, or the last answer has said `Connection: close`: behind it no request is taken any more (RFC 9112 9.6). Node
   * answers some requests itself, as one without Host, with no event, and shows what it said only here.
   */
  isClosing(socket: Duplex): boolean {
    if (socket.writableEnded) return true;
    const answer: unknown = Reflect.get(socket, '_httpMessage');
    return typeof answer === 'object' && answer !== null && Reflect.get(answer, '_last') === true;
  }

  /** Whether anybody but this answers the server's requests. */
  get isAlone(): boolean {
    return this.#http.listenerCount('request') === 1;
  }

  stop(): void {
    this.#http.off('request', this.#onRequest);
  }
}
