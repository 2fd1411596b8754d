import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClientPeer,
  type ConnectOptions,
  connect,
  type Peer,
  type Position,
  type ReconnectingClient,
  reconnect,
} from '../../dist/index.js';
import { eventually } from '../brokers/engines/redis-engine.ts';
import { Command } from '../cli/command.ts';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { loadBalancers } from './load-balancers.ts';
import { documentedExample, Node, startAll } from './several-servers.ts';
import { engines, inMemory } from './topic-engines.ts';

async function dial(t: TestContext, url: string, options: ConnectOptions = {}): Promise<Dialled> {
  const messages = new Mailbox<string | Uint8Array>();
  const { cert } = await localCertificate();
  const peer = await connect(url, {
    tls: { ca: cert },
    // Nothing is to come from this side unasked.
    limits: { pingAfterMs: Infinity },
    message: (_, message) => messages.put(message),
    ...options,
  });
  t.after(() => peer.terminate());
  return { peer, messages };
}

interface Dialled {
  readonly peer: ClientPeer;
  readonly messages: Mailbox<string | Uint8Array>;
}

const opened = (nodes: readonly Node[]): number[] => nodes.map((node) => node.opened.all.length);

for (const program of loadBalancers) {
  describe(`${program.name} in front of several servers`, { skip: program.skip }, () => {
    const options = { timeout: 60_000 };

    for (const engine of engines) {
      const skip = { ...options, skip: engine.skip };

      test(`clients are spread, and hear each other ${engine.name}`, skip, async (t) => {
        const { nodes, front } = await startAll(t, program, engine);
        const clients: Dialled[] = [];
        for (let i = 0; i < 9; i++) {
          const isTls = i % 2 === 1;
          const origin = isTls
            ? `wss://127.0.0.1:${front.tlsPort}`
            : `ws://127.0.0.1:${front.plainPort}`;
          clients.push(await dial(t, `${origin}/room`));
        }
        assert.deepEqual(opened(nodes), [3, 3, 3]);
        for (const { server } of nodes) assert.equal(await server.subscribed('room'), true);
        for (const [index, { peer }] of clients.entries()) peer.send(`client ${index}`);
        for (const [index, { messages }] of clients.entries()) {
          const others = clients.map((_, other) => `client ${other}`);
          others.splice(index, 1);
          assert.deepEqual((await messages.take(8)).map(String).sort(), others);
        }
      });

      test(`servers are restarted, and nobody misses anything ${engine.name}`, skip, async (t) => {
        const soon = program.retry.replace(/\d+s/, program.checks ? '100ms' : '1s');
        const instead = { [program.retry]: soon };
        const { nodes, front, running, history } = await startAll(t, program, engine, instead);
        const url = `ws://127.0.0.1:${front.plainPort}`;
        const example = await documentedExample();
        let lost = 0;
        const shown = Array.from({ length: 6 }, () => {
          const texts = new Mailbox<string>();
          const client = example.follow(`${url}/news`, texts.put, () => {
            lost += 1;
          });
          t.after(() => client.close());
          return texts;
        });

        const published: string[] = [];
        let isOver = false;
        let publisher = 1;
        const publishing = (async () => {
          while (!isOver) {
            const text = `message ${published.length}`;
            published.push(text);
            const { server } = nodes[publisher] ?? assert.fail();
            await example.publishKept(server, history, 'news', text);
            await sleep(10);
          }
        })();
        for (const texts of shown) await texts.next();

        // Those of other engines take longer, and do the same.
        const restarts = engine === inMemory ? 2 : 1;
        for (const [index, node] of [...nodes.entries()].slice(0, restarts)) {
          publisher = index + 1;
          const { port } = node.server;
          const hasNotice = program.checks && engine === inMemory && index === 0;
          const noticeMs = hasNotice ? 5_000 : 0;
          const closing = node.server.close({ code: 1012, noticeMs, spreadMs: 200 });
          if (hasNotice) {
            // With the third that it asks for, the proxy has made up its mind about two.
            for (let refusals = 0; refusals < 3; ) {
              if ((await node.checks.next()) === 503) refusals += 1;
            }
            const before = node.opened.all.length;
            for (let i = 0; i < 6; i++) await dial(t, url);
            assert.equal(node.opened.all.length, before, 'new ones come to who is closing');
          }
          await within('the end of a server', closing);
          for (let i = 0; i < 6; i++) await dial(t, url);

          const restarted = await Node.start(running, history, port);
          nodes[index] = restarted;
          await eventually(async () => {
            await dial(t, url);
            return restarted.opened.all.length > 0;
          }, 'who is back is not used');
        }

        isOver = true;
        await publishing;
        for (const texts of shown) {
          await texts.take(published.length - 1);
          assert.deepEqual([...texts.all].sort(), [...published].sort());
        }
        assert.equal(lost, 0);
      });
    }

    test(
      'a server that crashed is missed by its clients alone, who come back',
      options,
      async (t) => {
        // Commands have no /ready.
        const instead = program.checks ? { 'option httpchk GET /ready': '' } : undefined;
        const commands = [1, 2, 3].map(() => new Command('echo', '--port', '0'));
        t.after(() => Promise.all(commands.map((command) => command.signal('SIGKILL'))));
        const ports = [];
        for (const command of commands) {
          const line = await within('a command', command.printed(/ listening on ws:.*:(\d+)\n/));
          ports.push(Number(line[1]));
        }
        const front = await program.start(ports, instead);
        t.after(() => front[Symbol.asyncDispose]());

        const clients: { client: ReconnectingClient; messages: unknown[]; states: string[] }[] = [];
        for (let i = 0; i < 6; i++) {
          const messages = new Mailbox<unknown>();
          const states = new Mailbox<string>();
          const client = reconnect(`ws://127.0.0.1:${front.plainPort}/`, {
            backoff: { firstMs: 10 },
            open: () => states.put('open'),
            waiting: (_, { code }) => states.put(`lost with ${code}`),
            message: (_, data) => messages.put(data),
          });
          t.after(() => client.close());
          // One after the other, so that each server has two.
          assert.equal(await states.next(), 'open');
          clients.push({ client, messages: messages.all, states: states.all });
        }
        await commands[0]?.signal('SIGKILL');
        for (const { client, messages } of clients) {
          // What is sent before its own connection is known to have ended is lost with it.
          await eventually(() => {
            client.send('still there?');
            return messages.length > 0;
          }, 'a client does not come back');
        }
        const told = clients.map(({ states }) => states.join());
        const stayed = told.filter((states) => states === 'open');
        const cameBack = told.filter((states) => /^open(,lost with 1006)+,open$/.test(states));
        assert.deepEqual([stayed.length, cameBack.length], [4, 2], told.join('; '));
      },
    );

    test('pings keep alive what the proxy would end', options, async (t) => {
      const idle = { [program.idle]: program.idle.replace('75s', '4s') };
      const { nodes, front } = await startAll(t, program, inMemory, idle);
      const url = `ws://127.0.0.1:${front.plainPort}`;
      const pinged = await dial(t, `${url}/pinged`);
      const silent = await dial(t, `${url}/silent`);
      assert.equal((await within('the end of the silent one', silent.peer.closed)).code, 1006);
      const peers = nodes.flatMap(({ opened: { all } }) => all);
      assert.equal(peers.length, 2);
      const ours = peers.find(({ request }) => request.url === '/silent') ?? assert.fail();
      assert.equal((await within('its end on the server', ours.closed)).code, 1006);
      pinged.peer.send('still there');
      assert.equal(await pinged.messages.next(), 'still there');
    });

    test('what a server sees of who asked', options, async (t) => {
      const { nodes, front } = await startAll(t, program, inMemory);
      const seen = (): Peer => {
        const [peer, ...others] = nodes.flatMap(({ opened: { all } }) => all.splice(0));
        assert.ok(peer !== undefined && others.length === 0);
        return peer;
      };
      for (const [ws, http, port] of [
        ['ws', 'http', front.plainPort],
        ['wss', 'https', front.tlsPort],
      ] as const) {
        const url = `${ws}://127.0.0.1:${port}/`;
        const forged = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'gopher' };
        const Origin = `${http}://127.0.0.1:${port}`;
        await dial(t, url, { headers: { Origin, ...forged } });
        const { headers } = seen().request;
        assert.equal(headers.host, `127.0.0.1:${port}`);
        assert.equal(headers['x-forwarded-for'], '127.0.0.1');
        assert.equal(headers['x-forwarded-proto'], http);
        for (const elsewhere of [`${http}://127.0.0.1:1`, `${http}://127.0.0.1`]) {
          await assert.rejects(dial(t, url, { headers: { Origin: elsewhere } }), {
            code: 'STATUS_NOT_101',
            message: /403/,
          });
        }
      }
      // An ordinary request, on a connection that may be used again.
      for (let i = 0; i < 6; i++) {
        const response = await fetch(`http://127.0.0.1:${front.plainPort}/page`);
        assert.equal(response.status, 200);
        const answered = Number(await response.text());
        assert.ok(nodes.some(({ server }) => server.port === answered));
      }
    });
  });
}

describe('histories and presence, with the documented rights', () => {
  for (const engine of engines) {
    test(engine.name, { skip: engine.skip }, async (t) => {
      const running = await engine.start();
      t.after(() => running[Symbol.asyncDispose]());
      const history = running.history(2);
      const positions: Position[] = [];
      for (const text of ['one', 'two', 'three']) {
        positions.push((await history.append('news', text, `id of ${text}`)).position);
      }
      assert.equal((await history.append('news', 'three', 'id of three')).duplicate, true);
      const read = async (after?: Position, limit?: number): Promise<[unknown[], boolean]> => {
        const { entries, complete } = await history.read('news', after, limit);
        return [entries.map(({ data }) => data), complete];
      };
      assert.deepEqual(await read(), [['two', 'three'], false]);
      assert.deepEqual(await read(undefined, 1), [['three'], false]);
      assert.deepEqual(await read(positions[1]), [['three'], true]);

      const presence = running.presence();
      const other = engine === inMemory ? presence : running.presence();
      assert.equal(await presence.enter('room', 'ada'), true);
      assert.equal(await other.enter('room', 'bob'), true);
      assert.equal(await other.enter('room', 'ada'), false);
      assert.deepEqual(await presence.members('room'), ['ada', 'bob']);
      assert.equal(await presence.leave('room', 'ada'), false);
      await other.close();
      if (other !== presence) assert.deepEqual(await presence.members('room'), []);
      await presence.close();
    });
  }
});

const nginx = loadBalancers.find(({ name }) => name === 'nginx');
describe('nginx otherwise', { skip: nginx?.skip ?? false }, () => {
  assert.ok(nginx !== undefined);

  test('with HTTP/2 for pages, WebSockets come over HTTP/1.1', async (t) => {
    const { front } = await startAll(t, nginx, inMemory, { 'ssl;': 'ssl http2;' });
    const { peer, messages } = await dial(t, `wss://127.0.0.1:${front.tlsPort}/`, { http2: true });
    assert.equal(peer.transport, 'http/1.1');
    peer.send('hello');
    assert.equal(await messages.next(), 'hello');
  });

  test('without the Host, no page is of the same origin', async (t) => {
    const { front } = await startAll(t, nginx, inMemory, {
      'proxy_set_header Host $http_host;': '',
    });
    const Origin = `http://127.0.0.1:${front.plainPort}`;
    await assert.rejects(
      dial(t, `ws://127.0.0.1:${front.plainPort}/`, { headers: { Origin } }),
      /\b403\b/,
    );
  });
});
