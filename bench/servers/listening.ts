import type { AddressInfo, Server } from 'node:net';
import { ready } from './control.ts';

/** Has an HTTP server listen on any free port of this machine, and tells it. */
export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => ready(portOf(server.address())));
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('does not listen on TCP');
  return address.port;
}
