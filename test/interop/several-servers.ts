import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import {
  type History,
  type Peer,
  type ReconnectingClient,
  type Route,
  type Server,
  serve,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { documentedBlock } from './documented-configuration.ts';
import type { LoadBalancer, LoadBalancerProgram } from './load-balancers.ts';
import type { Engine, EngineProgram } from './topic-engines.ts';

/** What docs/scaling.md has, for the server's side and for a client. */
interface Example {
  publishKept(server: Server, history: History, topic: string, text: string): Promise<void>;
  keptRoute(server: () => Server, history: History, topic: string): Route<undefined>;
  follow(url: string, show: (text: string) => void, lost: () => void): ReconnectingClient;
}

let example: Promise<Example> | undefined;

export function documentedExample(): Promise<Example> {
  example ??= loadExample();
  return example;
}

async function loadExample(): Promise<Example> {
  const blocks = ['Catching up: the server', 'Catching up: the client'].map((heading) =>
    documentedBlock('scaling.md', heading, 'ts'),
  );
  const { code } = await transform(blocks.join('\n'), { loader: 'ts', format: 'esm' });
  // This file runs from build/interop/; from within the package, its own name leads to dist/.
  const folder = await mkdtemp(fileURLToPath(new URL('example-', import.meta.url)));
  try {
    const file = join(folder, 'example.js');
    await writeFile(file, code);
    return await import(pathToFileURL(file).href);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One of several servers. */
export class Node implements AsyncDisposable {
  readonly opened = new Mailbox<Peer>();
  /** What it has answered to `/ready`. */
  readonly checks = new Mailbox<number>();
  readonly #errors: unknown[] = [];
  #server: Server | undefined = undefined;

  static async start(engine: Engine, history: History, port = 0): Promise<Node> {
    const { keptRoute } = await documentedExample();
    const node = new Node();
    node.#server = await serve({
      port,
      broker: engine.broker(),
      onError: (error) => node.#errors.push(error),
      request(request, response) {
        if (request.url === '/ready') {
          response.statusCode = node.server.health.ready ? 200 : 503;
          response.once('finish', () => node.checks.put(response.statusCode));
        }
        response.end(`${node.server.port}`);
      },
      routes: {
        '/': { open: node.opened.put, message: (peer, data) => void peer.send(data) },
        '/room': {
          open(peer) {
            peer.subscribe('room');
            node.opened.put(peer);
          },
          message: (peer, data) => void peer.publish('room', data),
        },
        '/news': {
          ...keptRoute(() => node.server, history, 'news'),
          open: node.opened.put,
        },
        '/silent': { open: node.opened.put, limits: { pingAfterMs: Infinity } },
        '/pinged': {
          open: node.opened.put,
          limits: { pingAfterMs: 200 },
          message: (peer, data) => void peer.send(data),
        },
      },
    });
    return node;
  }

  get server(): Server {
    assert.ok(this.#server !== undefined);
    return this.#server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within('the end of a server', this.server.close({ timeoutMs: 200 }));
    assert.deepEqual(this.#errors, []);
  }
}

/** Three of them, with a proxy in front. */
export async function startAll(
  t: TestContext,
  program: LoadBalancerProgram,
  engine: EngineProgram,
  instead: Readonly<Record<string, string>> = {},
): Promise<{ nodes: Node[]; front: LoadBalancer; running: Engine; history: History }> {
  const running = await engine.start();
  const nodes: Node[] = [];
  const proxies: LoadBalancer[] = [];
  t.after(async () => {
    for (const front of proxies) await front[Symbol.asyncDispose]();
    try {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    } finally {
      await running[Symbol.asyncDispose]();
    }
  });
  const history = running.history(1_000);
  for (let i = 0; i < 3; i++) nodes.push(await Node.start(running, history));
  const ports = nodes.map(({ server }) => server.port);
  const front = await program.start(ports, instead);
  proxies.push(front);
  return { nodes, front, running, history };
}
