import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Peer, type Server, serve } from '../../dist/index.js';
import { PageClient } from './page-client.ts';

type Message = Readonly<Record<string, string>>;

/** A server of the chat that answers each message of the page as it is told to. */
async function serveChat(
  t: TestContext,
  answer: (message: Message, reply: (message: object) => void, peer: Peer) => void,
): Promise<Server> {
  const server = await serve({
    port: 0,
    routes: {
      '/chat': {
        protocols: ['superchat'],
        message(peer, data) {
          answer(JSON.parse(String(data)), (message) => peer.send(JSON.stringify(message)), peer);
        },
      },
    },
  });
  t.after(() => server.close({ timeoutMs: 0 }));
  return server;
}

function pageOf(t: TestContext, server: Server): PageClient {
  return new PageClient(t, `${server.url}/`, 'lobby', 'Ana');
}

const joined = { type: 'joined', room: 'lobby', name: 'Ana', members: ['Ana'], history: [] };

test('what is unavailable for the time being is asked for again: the room, and the same message', async (t) => {
  const asked: string[] = [];
  const server = await serveChat(t, ({ type, room, id, text }, reply) => {
    const isFirst = !asked.includes(`${type} ${id}`);
    asked.push(`${type} ${id}`);
    if (isFirst) reply({ type: 'error', code: 'unavailable', message: 'later', room, id });
    else reply(type === 'join' ? joined : { type: 'said', room, from: 'Ana', text, at: 1, id });
  });
  const page = pageOf(t, server);
  page.write('one');
  page.write('two');
  await page.hasSaid();
  const [one, two] = [...page.written.keys()];
  assert.deepEqual(asked, [
    'join undefined',
    'join undefined',
    `say ${one}`,
    `say ${one}`,
    `say ${two}`,
    `say ${two}`,
  ]);
  assert.deepEqual(page.refused, []);
});

test('a message that is in the history of messages that were missed was said', async (t) => {
  const said: (string | undefined)[] = [];
  const server = await serveChat(t, ({ type, id, text }, reply) => {
    if (type === 'join') reply(joined);
    else {
      said.push(id);
      reply({ type: 'history', room: 'lobby', history: [{ from: 'Ana', text, at: 1, id }] });
    }
  });
  const page = pageOf(t, server);
  page.write('one');
  page.write('two');
  await page.hasSaid();
  assert.deepEqual(said, [...page.written.keys()]);
});
