import type { Server } from '../index.ts';
import { runServer } from './run-server.ts';
import { serverOptions } from './server-options.ts';

const EVERYONE = 'everyone';

/** `aperto broadcast`: sends each message to every peer, the sender too. */
export async function broadcast(args: readonly string[]): Promise<void> {
  const options = serverOptions('broadcast', args);
  if (options === undefined) return;
  // No message comes before the server that is awaited here is there.
  let server: Server | undefined;
  server = await runServer('broadcast', {
    ...options.listen,
    routes: {
      '*': {
        ...options.route,
        open(peer) {
          peer.subscribe(EVERYONE);
        },
        message(_peer, data) {
          server?.publish(EVERYONE, data);
        },
      },
    },
  });
}
