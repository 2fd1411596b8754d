// A server in a process of its own, for what concerns the whole process. It prints a line for each thing that happens,
// and answers SIGTERM as the guide says a server should.
import { type CloseOptions, type ServeOptions, type Server, serve } from '../../dist/index.js';

interface Plan {
  readonly limits?: NonNullable<ServeOptions<undefined>['limits']>;
  readonly onSigterm?: CloseOptions;
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const server: Server = await serve({
  limits: plan.limits ?? {},
  onError: (error) => print(`error ${error instanceof Error ? error.message : String(error)}`),
  routes: {
    '/': {
      message(peer, message) {
        peer.send(message);
      },
      close: (_, code) => print(`close ${code}`),
    },
  },
  request(_, response) {
    response.writeHead(server.health.ready ? 200 : 503).end();
  },
});
process.on('SIGTERM', () => {
  void server.close(plan.onSigterm ?? {}).then(() => {
    print('closed');
  });
});
print(`port ${server.port}`);
