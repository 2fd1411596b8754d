import { runServer } from './run-server.ts';
import { serverOptions } from './server-options.ts';

/** `aperto echo`: returns each message in kind. */
export async function echo(args: readonly string[]): Promise<void> {
  const options = serverOptions('echo', args);
  if (options === undefined) return;
  await runServer('echo', {
    ...options.listen,
    routes: {
      '*': {
        ...options.route,
        message(peer, data) {
          peer.send(data);
        },
      },
    },
  });
}
