import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClientPeer,
  connect,
  type History,
  memoryHistory,
  type Position,
  type Route,
} from '../../dist/index.js';
import { startServer } from '../node/connections.ts';
import { within } from './raw-socket.ts';

interface Resumed {
  readonly complete: boolean;
  readonly texts: readonly string[];
}

/** A route that answers a topic and a position with what followed there: what a client resumes with. */
function resuming(history: History): Route<undefined> {
  return {
    async message(peer, message) {
      const { topic, after } = JSON.parse(String(message)) as { topic: string; after?: Position };
      const { entries, complete } = await history.read(topic, after);
      peer.send(JSON.stringify({ complete, texts: entries.map(({ data }) => String(data)) }));
    },
  };
}

async function ask(peer: ClientPeer, topic: string, after: unknown): Promise<Resumed> {
  peer.send(JSON.stringify({ topic, after }));
  const { value } = await within('what was missed', peer[Symbol.asyncIterator]().next());
  return JSON.parse(String(value)) as Resumed;
}

/** As a client does that was away: a new connection, and on it what it missed. */
async function resume(url: string, topic: string, after: unknown): Promise<Resumed> {
  const peer = await connect(url);
  try {
    return await ask(peer, topic, after);
  } finally {
    peer.terminate();
  }
}

// A position is no key: it says where somebody was, and not who it is. Whether a peer may read a topic, the application decides
// as it does for any other. So a position has nothing that could be stolen, and two that come with the same one get the same.
test('fault 90: a position that was forged, replayed, has expired or is of another topic begins afresh; two at once get the same', async (t) => {
  const history = memoryHistory({ messages: 10 });
  const server = await startServer(t, { routes: { '/': resuming(history) } });
  const positions: Position[] = [];
  for (let i = 0; i < 30; i++) positions.push((await history.append('news', `${i}`)).position);
  const other = (await history.append('other', 'apart')).position;
  const last = Array.from({ length: 10 }, (_, i) => `${20 + i}`);
  const { url } = server;
  const forged = { epoch: 'somebody', offset: '25' };
  for (const [what, after] of [
    ['forged', forged],
    ['no position', 'give me all'],
    ['expired', positions[3]],
    ['of another topic', other],
    ['of another history', { ...positions[25], epoch: other.epoch }],
  ] as const) {
    assert.deepEqual(await resume(url, 'news', after), { complete: false, texts: last }, what);
  }
  // Replayed: it says the same as before, as often as one likes.
  for (let round = 0; round < 3; round++) {
    const rest = { complete: true, texts: ['26', '27', '28', '29'] };
    assert.deepEqual(await resume(url, 'news', positions[25]), rest);
  }
  const both = await Promise.all([1, 2].map(() => resume(url, 'news', positions[27])));
  assert.deepEqual(both[0], { complete: true, texts: ['28', '29'] });
  assert.deepEqual(both[1], both[0]);
});

test('fault 91: a resume storm reads the topics that are asked for, once for each who asks, and no other', async (t) => {
  const history = memoryHistory({ messages: 100 });
  const reads = new Map<string, number>();
  const counted: History = {
    append: (...args) => history.append(...args),
    read(topic, ...rest) {
      reads.set(topic, (reads.get(topic) ?? 0) + 1);
      return history.read(topic, ...rest);
    },
  };
  const positions: Position[] = [];
  for (let topic = 0; topic < 500; topic++) {
    for (let i = 0; i < 4; i++) {
      const { position } = await history.append(`topic ${topic}`, `${topic}/${i}`);
      if (i === 1) positions.push(position);
    }
  }
  const server = await startServer(t, { routes: { '/': resuming(counted) } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(server.url)));
  t.after(() => clients.map((peer) => peer.terminate()));
  const resumed = clients.map(async (peer, i) => {
    const topic = i % 10;
    const { complete, texts } = await ask(peer, `topic ${topic}`, positions[topic]);
    assert.deepEqual([complete, texts], [true, [`${topic}/2`, `${topic}/3`]]);
  });
  await within('the storm', Promise.all(resumed));
  assert.deepEqual(
    reads,
    new Map(Array.from({ length: 10 }, (_, topic) => [`topic ${topic}`, 20])),
  );
});
