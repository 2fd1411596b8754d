import { type IncomingMessage, ServerResponse } from 'node:http';
import { type Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { linger } from './http1-upgrade.ts';

/**
 * Answers an upgrade request that is not for us as Node does where nobody listens for upgrades: as an
 * ordinary request (RFC 9110 7.8: a server may ignore Upgrade). It is the last on its connection, since
 * the HTTP parser is gone from it; a body cannot be read any more, so requests with one are left alone.
 * @returns whether it could be done.
 */
export function passAsPlainRequest(
  server: NetServer,
  request: IncomingMessage,
  socket: Duplex,
): boolean {
  const { headers } = request;
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  if (hasBody || !(socket instanceof Socket)) return false;
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  socket.on('error', () => socket.destroy());
  response.assignSocket(socket);
  // Node's server has stopped to watch the socket; without this, who waits for room would wait for ever.
  socket.on('drain', () => {
    if (response.writableNeedDrain) response.emit('drain');
  });
  response.on('finish', () => {
    response.detachSocket(socket);
    linger(socket);
    socket.end();
  });
  server.emit('request', request, response);
  return true;
}
