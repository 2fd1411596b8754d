import type { Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Connections on which no request has come, as browsers open them ahead. A server of Node that closes waits for them, up to
 * the time for the head of a request, although they have nothing to lose.
 */
export class SilentConnections {
  readonly #sockets = new Set<Duplex & { readonly bytesRead?: number }>();
  // One function for all sockets, so that a connection costs no closure.
  readonly #forget: (this: Duplex) => void;

  constructor(http: NetServer) {
    const sockets = this.#sockets;
    const forget = function (this: Duplex): void {
      sockets.delete(this);
    };
    this.#forget = forget;
    // Under TLS, what speaks HTTP is there once the TLS handshake is done.
    http.on(
      'setSecureContext' in http ? 'secureConnection' : 'connection',
      (socket: Socket & { readonly alpnProtocol?: string | false | null }) => {
        // A session of HTTP/2 is closed as one.
        if (socket.alpnProtocol === 'h2') return;
        sockets.add(socket);
        socket.on('close', forget);
      },
    );
  }

  /** A request came on it. */
  heard(socket: Duplex): void {
    if (this.#sockets.delete(socket)) socket.off('close', this.#forget);
  }

  /** Ends them, but for those on which a request has begun. */
  destroy(): void {
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
