import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type ClientPeer,
  createPair,
  type Message,
  type PairClientOptions,
  type Peer,
  type Route,
} from '../../dist/index.js';
import { Mailbox } from './connections.ts';

const library = new URL('../../dist/index.js', import.meta.url).href;

/** What a program prints that has to end by itself; it fails where the exit code is not 0. */
async function output(program: string): Promise<string> {
  const source = `import { createPair } from ${JSON.stringify(library)};\n${program}`;
  const args = ['--input-type=module', '--eval', source];
  return (await promisify(execFile)(process.execPath, args, { timeout: 10_000 })).stdout;
}

/** A loop over a peer, as far as it has come. */
async function readAll(peer: ClientPeer): Promise<Message[]> {
  const read: Message[] = [];
  for await (const message of peer) read.push(message);
  return read;
}

describe('a pair', () => {
  test('without options: two open peers that can be read in a loop', async () => {
    const { client, server } = await createPair();
    assert.deepEqual([client.state, server.state], ['open', 'open']);
    client.send('from the client');
    client.send(Uint8Array.of(1, 2));
    server.send('from the server');
    const atServer = readAll(server);
    for await (const message of client) {
      assert.equal(message, 'from the server');
      break;
    }
    client.close();
    assert.deepEqual(await atServer, ['from the client', Uint8Array.of(1, 2)]);
    assert.deepEqual(await readAll(client), []);
  });

  test('binary messages are plain Uint8Arrays, whether they come in one chunk or in many', async () => {
    const received = new Mailbox<Message>();
    const { client } = await createPair({
      route: { message: (_, message) => received.put(message) },
    });
    for (const size of [0, 1, 70_000, 900_000]) {
      client.send(new Uint8Array(size).fill(7));
      assert.deepStrictEqual(await received.next(), new Uint8Array(size).fill(7));
    }
    client.terminate();
  });

  test('runs the handlers of both sides, each on its object', async () => {
    const log = new Mailbox<string>();
    class Chat implements Route<string> {
      readonly #name = 'route';
      upgrade(): string {
        return `data of the ${this.#name}`;
      }
      open(peer: Peer<string>): void {
        log.put(`${this.#name} open ${peer.data}`);
        peer.send('welcome');
      }
      message(peer: Peer<string>, message: Message): void {
        log.put(`${this.#name} message ${message}`);
        peer.ping('p');
      }
      pong(_: Peer<string>, payload: Uint8Array): void {
        log.put(`${this.#name} pong ${Buffer.from(payload)}`);
      }
      close(_: Peer<string>, code: number, reason: string): void {
        log.put(`${this.#name} close ${code} ${reason}`);
      }
    }
    class Client implements PairClientOptions {
      readonly #name = 'client';
      message(peer: ClientPeer, message: Message): void {
        log.put(`${this.#name} message ${message}`);
        peer.send('thanks');
      }
      ping(peer: ClientPeer, payload: Uint8Array): void {
        log.put(`${this.#name} ping ${Buffer.from(payload)}`);
        peer.close(4_000, 'bye');
      }
      close(_: ClientPeer, code: number): void {
        log.put(`${this.#name} close ${code}`);
      }
    }
    const { server } = await createPair({ route: new Chat(), client: new Client() });
    assert.equal(server.data, 'data of the route');
    assert.deepEqual(await log.take(5), [
      'route open data of the route',
      'client message welcome',
      'route message thanks',
      'client ping p',
      'route pong p',
    ]);
    assert.deepEqual((await log.take(2)).sort(), ['client close 4000', 'route close 4000 bye']);
  });

  test('exchanges messages of all sizes, which stay as they came', async () => {
    const atClient = new Mailbox<Message>();
    const { client, server } = await createPair({
      route: { message: (peer, message) => void peer.send(message) },
      client: { message: (_, message) => atClient.put(message) },
    });
    for (const size of [0, 1, 125, 126, 4_096, 65_535, 65_536, 1_048_576]) {
      const bytes = Buffer.alloc(size, 7);
      client.send(bytes);
      assert.ok(bytes.equals((await atClient.next()) as Buffer), `${size}`);
      const text = '\u00e9'.repeat(size / 2);
      client.send(text);
      assert.ok((await atClient.next()) === text, `${size}`);
    }
    // The receiver's message is no view of the sender's bytes.
    const mine = Buffer.alloc(50_000, 1);
    server.send(mine);
    const came = await atClient.next();
    assert.equal(server.bufferedAmount, 0);
    mine.fill(2);
    assert.ok((came as Buffer).every((byte) => byte === 1));
  });

  test('delivers in a later turn, never within a call', async () => {
    const log: string[] = [];
    const { client } = await createPair({
      route: {
        message(peer, message) {
          log.push(`in ${message}`);
          peer.send('answer');
        },
      },
      client: { message: (_, message) => void log.push(`out ${message}`) },
    });
    client.send('a');
    client.send('b');
    log.push('sent');
    await Promise.resolve();
    assert.deepEqual(log, ['sent']);
    while (log.length < 5) await nextTurn();
    assert.deepEqual(log, ['sent', 'in a', 'in b', 'out answer', 'out answer']);
  });

  test('goes on while a test holds the clock', async (t) => {
    t.mock.timers.enable();
    const atClient = new Mailbox<Message>();
    const { client, server } = await createPair({
      route: { message: (peer, message) => void peer.send(message) },
      client: { message: (_, message) => atClient.put(message) },
    });
    client.send('x'.repeat(500_000));
    while (atClient.all.length === 0) await nextTurn();
    server.close(4_001);
    assert.equal((await client.closed).code, 4_001);
  });
});

describe('another client of the same route', () => {
  const lobby: Route<string> = {
    upgrade: ({ url }) => url.slice(1),
    open: (peer) => peer.subscribe('lobby'),
    message: (peer, message) => void peer.publish('lobby', `${peer.data}: ${message}`),
  };

  test('hears what is published', async () => {
    const atAda = new Mailbox<Message>();
    const atBob = new Mailbox<Message>();
    const ada = await createPair({
      route: lobby,
      url: '/ada',
      client: { message: (_, message) => atAda.put(message) },
    });
    const bob = await ada.connect({
      url: '/bob',
      client: { message: (_, message) => atBob.put(message) },
    });
    assert.deepEqual([ada.server.data, bob.server.data], ['ada', 'bob']);
    ada.client.send('hello');
    assert.equal(await atBob.next(), 'ada: hello');
    bob.client.send('welcome');
    assert.equal(await atAda.next(), 'bob: welcome');
    // Who has gone hears nothing.
    ada.client.close(1000);
    await ada.server.closed;
    const eve = await bob.connect();
    eve.client.send('anybody?');
    assert.equal(await atBob.next(), ': anybody?');
    assert.deepEqual(atAda.all, ['bob: welcome']);
  });

  test('is no client of another pair', async () => {
    const atFirst: Message[] = [];
    const first = await createPair({
      route: lobby,
      client: { message: (_, message) => void atFirst.push(message) },
    });
    const second = await createPair({ route: lobby });
    second.server.publish('lobby', 'here');
    first.server.publish('lobby', 'to all others');
    first.server.send('end');
    while (atFirst.length === 0) await nextTurn();
    assert.deepEqual(atFirst, ['end']);
  });

  test('may come at the same time as others: each gets its own peer', async () => {
    const { connect } = await createPair({ route: lobby });
    const names = Array.from({ length: 20 }, (_, at) => `${at}`);
    const pairs = await Promise.all(names.map((name) => connect({ url: `/${name}` })));
    assert.deepEqual(
      pairs.map(({ server }) => server.data),
      names,
    );
    for (const { client, server } of pairs) {
      server.send(`you are ${server.data}`);
      for await (const message of client) {
        assert.equal(message, `you are ${server.data}`);
        break;
      }
    }
  });
});

describe('the process ends by itself', () => {
  test('when both are closed, with nothing left over', async () => {
    const printed = await output(`
      const { client, server } = await createPair({ route: { message(peer, m) { peer.send(m); } } });
      client.send('hello');
      for await (const message of client) { console.log(message); break; }
      client.close(1000);
      await Promise.all([client.closed, server.closed]);
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Immediate/.test(name)).join());
    `);
    assert.equal(printed, 'hello\n\n');
  });

  test('also while a pair is open and idle, but not before what is on its way has come', async () => {
    const printed = await output(`
      const { client } = await createPair({ route: { message(_, m) { console.log(m.length); } } });
      client.send('x'.repeat(1_000_000));
      process.on('exit', () => console.log(client.state));
    `);
    assert.equal(printed, '1000000\nopen\n');
  });
});
