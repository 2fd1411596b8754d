import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Message, type Peer, RejectUpgrade, type Route, serve } from '../../dist/index.js';
import { switching, withRawServer } from '../faults/raw-server.ts';
import type { Head, RawSocket } from '../faults/raw-socket.ts';
import { bench, eventsOf } from './bench-run.ts';
import { Command, run } from './command.ts';

type Test = { after(task: () => Promise<unknown>): void };

async function start(t: Test, route: Route<undefined>): Promise<string> {
  const server = await serve({ routes: { '*': route } });
  t.after(() => server.close({ timeoutMs: 0 }));
  return server.url;
}

/** Broadcasts; `received` is told before each message and may end a peer. */
async function startBroadcast(t: Test, received: (peers: Peer[], count: number) => void) {
  const peers: Peer[] = [];
  let count = 0;
  const server = await serve({
    routes: {
      '*': {
        open(peer) {
          peers.push(peer);
          peer.subscribe('all');
        },
        message(_peer, data) {
          count++;
          received(peers, count);
          server.publish('all', data);
        },
      },
    },
  });
  t.after(() => server.close({ timeoutMs: 0 }));
  return server.url;
}

function damaged(data: Message): Message {
  if (typeof data === 'string') return `${data.slice(0, -1)}!`;
  const bytes = Uint8Array.from(data);
  bytes[bytes.length - 1] = 0;
  return bytes;
}

describe('messages that are wrong', { concurrency: 2 }, () => {
  for (const kind of ['text', 'binary']) {
    for (const inFlight of [1, 8]) {
      test(`damaged: ${kind}, ${inFlight} in flight`, async (t) => {
        let received = 0;
        let spoilt = 0;
        const url = await start(t, {
          message(peer, data) {
            received++;
            if (received % 10 === 0) spoilt++;
            peer.send(received % 10 === 0 ? damaged(data) : data);
          },
        });
        const binary = kind === 'binary' ? ' --binary' : '';
        const { command, result } = await bench(
          url,
          `--connections 2 --in-flight ${inFlight}${binary}`,
        );
        assert.ok(spoilt > 0);
        assert.equal(result.wrong, spoilt);
        assert.ok(result.messages > spoilt);
        assert.ok(result.messages + spoilt <= received);
        assert.equal(command.child.exitCode, 1);
        assert.match(command.stderr, /^aperto: messages damaged, doubled, late or missing: \d+\n$/);
      });
    }
  }

  test('of the other kind: each is wrong', async (t) => {
    const url = await start(t, { message: (peer, data) => void peer.send(Buffer.from(data)) });
    const { command, result } = await bench(url, '--connections 2 --in-flight 4');
    assert.equal(result.messages, 0);
    assert.ok(result.wrong > 8);
    assert.equal(command.child.exitCode, 1);
  });

  test('dropped', async (t) => {
    let received = 0;
    let dropped = 0;
    const url = await start(t, {
      message(peer, data) {
        received++;
        if (received % 10 === 0) dropped++;
        else peer.send(data);
      },
    });
    const { command, result } = await bench(url, '--connections 2 --in-flight 8');
    assert.ok(dropped > 1);
    assert.equal(result.wrong, dropped);
    assert.ok(result.messages > dropped);
    assert.equal(command.child.exitCode, 1);
  });

  test('doubled', async (t) => {
    let received = 0;
    let doubled = 0;
    const url = await start(t, {
      message(peer, data) {
        received++;
        peer.send(data);
        if (received % 10 !== 0) return;
        peer.send(data);
        doubled++;
      },
    });
    const { command, result } = await bench(url, '--connections 2 --in-flight 4');
    // The very last copy may come too late for both connections.
    assert.ok(result.wrong > 0 && result.wrong <= doubled && result.wrong >= doubled - 2);
    assert.ok(result.messages > doubled);
    assert.equal(command.child.exitCode, 1);
  });

  test('in the wrong order', async (t) => {
    let received = 0;
    let swapped = 0;
    let held: Message | undefined;
    const url = await start(t, {
      message(peer, data) {
        received++;
        if (received % 10 === 0) {
          held = data;
          swapped++;
          return;
        }
        peer.send(data);
        if (held !== undefined) peer.send(held);
        held = undefined;
      },
    });
    const { command, result } = await bench(url, '--connections 1 --in-flight 4');
    // One did not come in its turn, and one came late; the last may have come not at all.
    assert.ok(swapped > 0);
    assert.ok(result.wrong === 2 * swapped || result.wrong === 2 * swapped - 1);
    assert.equal(command.child.exitCode, 1);
  });

  test('at the wrong connection', async (t) => {
    const peers: Peer[] = [];
    const url = await start(t, {
      open: (peer) => void peers.push(peer),
      message(peer, data) {
        for (const other of peers) if (other !== peer) other.send(data);
      },
    });
    const { command, result } = await bench(url, '--connections 2');
    assert.ok(result.wrong > 0);
    assert.equal(result.messages, 0);
    assert.equal(command.child.exitCode, 1);
  });

  test('fan-out: dropped for one', async (t) => {
    const peers: Peer[] = [];
    let dropped = 0;
    let received = 0;
    const url = await start(t, {
      open: (peer) => void peers.push(peer),
      message(_peer, data) {
        received++;
        for (const [index, peer] of peers.entries()) {
          if (index === 1 && received % 10 === 0) dropped++;
          else peer.send(data);
        }
      },
    });
    const { command, result } = await bench(url, '--mode fan-out --connections 3 --in-flight 8');
    assert.ok(dropped > 0);
    assert.equal(result.wrong, dropped);
    assert.ok(result.messages > received);
    assert.equal(command.child.exitCode, 1);
  });
});

describe('a connection that is lost', { concurrency: 2 }, () => {
  test('is counted, and the others go on', async (t) => {
    let peers = 0;
    const marked = new Set<Peer>();
    const url = await start(t, {
      open(peer) {
        peers++;
        if (peers === 2) marked.add(peer);
      },
      message(peer, data) {
        if (marked.has(peer)) peer.close(4000, 'go\u0007ne');
        else peer.send(data);
      },
    });
    const { command, result } = await bench(url, '--connections 3 --in-flight 2');
    assert.equal(result.failed, 1);
    assert.equal(result.wrong, 0);
    assert.ok(result.messages > 0);
    assert.ok(result.seconds >= 0.19);
    assert.equal(command.stderr, 'aperto: lost 1 of 3 connections: closed with 4000: go\\u{7}ne\n');
    assert.equal(command.child.exitCode, 1);
  });

  test('ends the run at once where all are', async (t) => {
    let received = 0;
    const url = await start(t, {
      message(peer, data) {
        received++;
        if (received > 100) peer.terminate();
        else peer.send(data);
      },
    });
    const { command, names, result } = await bench(url, '--connections 3 --duration 25');
    assert.deepEqual(
      names.filter((name) => name !== 'progress'),
      ['connected', 'measuring', 'measured', 'result'],
    );
    assert.equal(result.failed, 3);
    assert.ok(result.seconds < 20);
    assert.match(command.stderr, /^aperto: lost 3 of 3 connections: the first closed with 1006/);
    assert.equal(command.child.exitCode, 1);
  });

  test('in idle: is no longer open', async (t) => {
    let peers = 0;
    const url = await start(t, {
      open(peer) {
        peers++;
        if (peers === 2) setTimeout(() => peer.terminate(), 50);
      },
    });
    const { command, result } = await bench(url, '--mode idle --connections 3');
    assert.equal(result.failed, 1);
    assert.equal(command.child.exitCode, 1);
  });

  test('in fan-out, of one that receives: the others go on', async (t) => {
    const url = await startBroadcast(t, (peers, count) => {
      if (count === 20) peers[1]?.terminate();
    });
    const { command, result } = await bench(url, '--mode fan-out --connections 3 --in-flight 4');
    assert.equal(result.failed, 1);
    assert.equal(result.wrong, 0);
    assert.ok(result.messages > 200, `${result.messages}`);
    assert.equal(command.child.exitCode, 1);
  });

  test('in fan-out, of the sender: the run ends', async (t) => {
    const url = await startBroadcast(t, (peers, count) => {
      if (count === 20) peers[0]?.terminate();
    });
    const { result } = await bench(url, '--mode fan-out --connections 3 --duration 25');
    assert.equal(result.failed, 1);
    assert.ok(result.messages > 0);
    assert.ok(result.seconds < 20);
  });

  test('in handshake: once the server refuses all, the run ends', async (t) => {
    let asked = 0;
    const url = await start(t, {
      upgrade() {
        asked++;
        if (asked > 20) throw new RejectUpgrade(503);
      },
    });
    const { command, result } = await bench(url, '--mode handshake --connections 3 --duration 25');
    assert.equal(result.messages, 17);
    assert.equal(result.failed, 3);
    assert.match(command.stderr, /lost 3 of 3 connections: the first .*status 503/);
    assert.equal(command.child.exitCode, 1);
  });
});

describe('a server that cannot be loaded', { concurrency: 2 }, () => {
  test('nobody listens', async () => {
    const command = await run(['bench', 'ws://127.0.0.1:1', '--json']);
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /^aperto: no connection could be made: .*ECONNREFUSED/);
    assert.equal(command.stdout, '');
  });

  test('it refuses', async (t) => {
    const url = await start(t, {
      upgrade() {
        throw new RejectUpgrade(401, { body: 'who are you?' });
      },
    });
    const command = await run(['bench', url]);
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /^aperto: .*status 401.*\nwho are you\?\n$/);
  });

  test('it refuses the last connection: those that are open do not keep the command', async (t) => {
    let asked = 0;
    const url = await start(t, {
      upgrade() {
        asked++;
        if (asked === 150) throw new RejectUpgrade(503);
      },
    });
    const command = await run(['bench', url, '--connections', '150', '--json']);
    assert.equal(command.child.exitCode, 1);
    assert.match(command.stderr, /status 503/);
    assert.equal(command.stdout, '');
  });

  test('it never answers a message', async (t) => {
    const url = await start(t, { message() {} });
    const { command, names, result } = await bench(url, '--connections 3 --in-flight 2');
    assert.deepEqual(names, ['connected', 'measuring', 'measured', 'result']);
    assert.equal(result.messages, 0);
    assert.equal(result.wrong, 6);
    assert.match(command.stderr, /missing: 6\naperto: no message was counted\n$/);
    assert.equal(command.child.exitCode, 1);
  });

  test('it never answers a close: the wait is bounded', async () => {
    const answer = (raw: RawSocket, request: Head): void => raw.write(switching(request));
    await withRawServer({ answer }, async (url) => {
      const { command, result } = await bench(url, '--mode idle --connections 2');
      assert.equal(result.failed, 0);
      assert.equal(command.child.exitCode, 0);
    });
  });

  test('there are too few file descriptors', async (t) => {
    class Limited extends Command {
      protected override commandLine(args: readonly string[]): readonly string[] {
        return ['sh', '-c', 'ulimit -n 200; exec "$@"', 'sh', ...super.commandLine(args)];
      }
    }
    const url = await start(t, {});
    const command = new Limited('bench', url, '--mode', 'idle', '--connections', '400');
    assert.equal(await command.end(), 1);
    assert.match(command.stderr, /^aperto: too many open files: .*--connections\n$/);
  });
});

describe('Ctrl-C', { concurrency: 2 }, () => {
  const long = ['--connections', '2', '--duration', '25', '--json'];

  test('ends early and tells what was counted', async (t) => {
    const url = await start(t, { message: (peer, data) => void peer.send(data) });
    const command = new Command('bench', url, '--warm-up', '0', ...long);
    await command.printed(/"measuring"/);
    await sleep(50);
    assert.equal(await command.signal('SIGINT'), 0);
    const { names, result } = eventsOf(command);
    assert.deepEqual(names, ['connected', 'measuring', 'measured', 'result']);
    assert.ok(result.messages > 0);
    assert.ok(result.seconds > 0 && result.seconds < 20);
    assert.equal(command.stderr, '');
  });

  test('while warming up: nothing was counted', async (t) => {
    const url = await start(t, { message: (peer, data) => void peer.send(data) });
    const command = new Command('bench', url, '--warm-up', '25', ...long);
    await command.printed(/"connected"/);
    assert.equal(await command.signal('SIGINT'), 0);
    const { names, result } = eventsOf(command);
    assert.deepEqual(names, ['connected', 'measuring', 'measured', 'result']);
    assert.equal(result.messages, 0);
  });

  test('a second time ends at once', async (t) => {
    const url = await start(t, { message() {} });
    const command = new Command('bench', url, '--warm-up', '0', ...long);
    await command.printed(/"measuring"/);
    command.child.kill('SIGINT');
    await command.printed(/"measured"/);
    assert.equal(await command.signal('SIGINT'), 1);
    assert.doesNotMatch(command.stdout, /result/);
  });

  test('before all connections are open: says so', async (t) => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    silent.listen(0, '127.0.0.1');
    t.after(() => new Promise((resolve) => silent.close(resolve)));
    await once(silent, 'listening');
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    const command = new Command('bench', `ws://127.0.0.1:${address.port}`, ...long);
    await once(silent, 'connection');
    assert.equal(await command.signal('SIGINT'), 1);
    assert.equal(command.stderr, 'aperto: interrupted before all connections were open\n');
    assert.equal(command.stdout, '');
  });
});
