// A server over an engine, as a process of its own, which a test ends by a signal. Its arguments are what `TopicsProcess` gives it.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type Server, serve } from '../../dist/index.js';
import { gapText, messageText, READY } from './ledger.ts';
import { engineKinds } from './topic-engines.ts';
import type { Order, Report } from './topics-process.ts';

const [name = '', kindName, port, ...topics] = process.argv.slice(2);
const [topic = ''] = topics;
const kind = engineKinds.find((each) => each.name === kindName);
if (kind === undefined) throw new Error(`there is no ${kindName}`);

const { broker, history, end } = await kind.client(Number(port));

const published = new Map<string, number>();
let taken = 0;
/** Tells the test what the engine has taken: each message is an envelope, since there is one to a topic in a tick. */
const counted: Broker = {
  start: (host) => broker.start(host),
  subscribe: (topics) => broker.subscribe(topics),
  unsubscribe: (topics) => broker.unsubscribe(topics),
  close: () => broker.close(),
  async publish(to, bytes) {
    await broker.publish(to, bytes);
    if (to === topic) tell({ taken: ++taken });
  },
};

const server: Server = await serve({
  broker: counted,
  onError: (error) => tell({ error: String(error) }),
  request(request, response) {
    response.statusCode = request.url === '/ready' && !server.health.ready ? 503 : 200;
    response.end();
  },
  routes: {
    '/': {
      async open(peer) {
        for (const each of topics) peer.subscribe(each);
        await Promise.all(topics.map((each) => server.subscribed(each)));
        peer.send(READY);
      },
      gap: (peer, missed) => peer.send(gapText(missed)),
      // The last ones are published when nobody of this server is left.
      close: () => publish(topic),
    },
  },
});

let isOver = false;
let isClosing = false;
let loading: Promise<void> = Promise.resolve();

process.on('message', (order: Order) => {
  if (order === 'publish') loading = publishAll();
  else if (order === 'append') void appendAll();
  else void stop();
});
process.on('SIGTERM', async () => {
  isOver = true;
  isClosing = true;
  await loading;
  await server.close({ code: 1012, noticeMs: 1_500, spreadMs: 300 });
  tell({ published: Object.fromEntries(published) });
  await end();
  process.disconnect();
});
process.on('disconnect', () => {
  // The test has ended without it.
  if (!isClosing) process.exit(1);
});
tell({ url: server.url });

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

function publish(to: string): void {
  const sequence = (published.get(to) ?? 0) + 1;
  published.set(to, sequence);
  server.publish(to, messageText(to, name, sequence));
}

async function publishAll(): Promise<void> {
  while (!isOver) {
    for (const each of topics) publish(each);
    await sleep(1);
  }
}

/** Appends one message after another, each until it is appended. */
async function appendAll(): Promise<void> {
  const kept = await history();
  for (let sequence = 1; !isOver; sequence++) {
    const text = messageText(topic, name, sequence);
    for (;;) {
      try {
        const { position } = await kept.append(topic, text, text);
        tell({ appended: { text, position } });
        break;
      } catch {
        await sleep(5);
      }
    }
  }
}

async function stop(): Promise<void> {
  isOver = true;
  await loading;
  tell({ published: Object.fromEntries(published) });
}
