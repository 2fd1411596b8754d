import type { Server as NetServer, Socket } from 'node:net';

/** Accepts no more, and resolves once no connection is left. */
export function closeHttp(http: NetServer): Promise<void> {
  return new Promise((resolve) => {
    // It calls back with an error where it was not listening; then, too, nothing is left.
    http.close(() => resolve());
  });
}

/** As far as the server of that kind and version can. */
export function closeAllConnections(http: NetServer & { closeAllConnections?(): void }): void {
  http.closeAllConnections?.();
}

/** Keeps in `sockets` those that are open, with one listener for all of them. */
export function watchSockets(http: NetServer, sockets: Set<Socket>): void {
  function forget(this: Socket): void {
    sockets.delete(this);
  }
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', forget);
  });
}
