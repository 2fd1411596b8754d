import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect, type Message, type Peer } from '../../dist/index.js';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  serverFrame,
  TEXT,
} from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { type RawSocket, within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox } from './connections.ts';
import {
  numbered,
  settle,
  spoilSharedBuffer,
  startWay,
  testEachWay,
  until,
} from './ways-of-reading.ts';

for (const sharedReadBuffer of [true, false]) {
  const way = sharedReadBuffer ? 'shared buffer' : "'data'";

  test(`client: the server ends without a close frame (${way})`, async () => {
    const inbox = new Mailbox<Message>();
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(switching(request), serverFrame(TEXT, 'last'));
          raw.end();
          await raw.expectEnd();
        },
      },
      async (url) => {
        const peer = await connect(url, {
          sharedReadBuffer,
          message: (_, message) => inbox.put(message),
        });
        assert.equal(await inbox.next(), 'last');
        assert.equal((await within('the end', peer.closed)).code, 1006);
      },
    );
  });
}

testEachWay('half-close: who has ended gets its answer', async (t, way) => {
  const closes = new Mailbox<number>();
  const served = await startWay(t, way, {
    routes: {
      '/': {
        message: (peer, message) => void peer.send(message),
        close: (_, code) => closes.put(code),
      },
    },
  });
  const large = Buffer.alloc(300_000, 'x');
  const raw = await served.open();
  await served.checkWay();
  raw.write(clientFrame(BINARY, large));
  raw.end();
  await raw.expectFrame(BINARY, large);
  await raw.expectEnd();
  assert.equal(await closes.next(), 1006);
});

describe('in the middle of a read', () => {
  const behind = Array.from({ length: 50 }, (_, at) => clientFrame(TEXT, `${at}`));

  testEachWay('terminate in the handler: nothing more is delivered', async (t, way) => {
    const events = new Mailbox<string>();
    const served = await startWay(t, way, {
      routes: {
        '/': {
          message(peer, message) {
            events.put(`${message}`);
            if (message === 'now') peer.terminate();
            spoilSharedBuffer();
          },
          close: (_, code) => events.put(`close ${code}`),
        },
      },
    });
    const raw = await served.open();
    await served.checkWay();
    raw.write(clientFrame(TEXT, 'first'), clientFrame(TEXT, 'now'), ...behind);
    assert.deepEqual(await events.take(3), ['first', 'now', 'close 1006']);
    await raw.ending();
    await settle();
    assert.equal(events.all.length, 3);
  });

  testEachWay('close in the handler: nothing more is delivered', async (t, way) => {
    const events = new Mailbox<string>();
    const served = await startWay(t, way, {
      routes: {
        '/': {
          message(peer, message) {
            events.put(`${message}`);
            if (message === 'now') peer.close(4000, 'enough');
            spoilSharedBuffer();
          },
          close: (_, code) => events.put(`close ${code}`),
        },
      },
    });
    const raw = await served.open();
    raw.write(clientFrame(TEXT, 'first'), clientFrame(TEXT, 'now'), ...behind);
    await raw.expectClose(4000);
    raw.write(...behind, clientFrame(CLOSE, closePayload(4000)));
    await raw.expectEnd();
    raw.end();
    assert.deepEqual(await events.take(3), ['first', 'now', 'close 4000']);
    await settle();
    assert.equal(events.all.length, 3);
  });

  testEachWay('one peer ends another whose bytes are on their way', async (t, way) => {
    const peers: Peer[] = [];
    const messages: Message[] = [];
    const served = await startWay(t, way, {
      routes: {
        '/': {
          open: (peer) => void peers.push(peer),
          message(peer, message) {
            messages.push(message);
            for (const other of peers) if (other !== peer) other.terminate();
            spoilSharedBuffer();
          },
        },
      },
    });
    const raws = [await served.open(), await served.open(), await served.open()];
    for (const raw of raws) raw.write(clientFrame(TEXT, 'only one of us'));
    await until('two to be gone', () => served.server.peers.size === 1);
    assert.equal(messages.length, 1);
  });
});

/** What sockets hold open, of this process. */
function openHandles(): number {
  const names = process.getActiveResourcesInfo();
  return names.filter((name) => /TCP|Pipe|Connect|Shutdown|Write/.test(name)).length;
}

testEachWay('200 connections that end in the midst of it leave nothing behind', async (t, way) => {
  const before = openHandles();
  let closes = 0;
  let opens = 0;
  const served = await startWay(t, way, {
    routes: {
      '/': {
        open: () => void opens++,
        message(peer, message) {
          spoilSharedBuffer();
          peer.send(message);
          return message.length % 7 === 0 ? nextTurn() : undefined;
        },
        close: () => void closes++,
      },
    },
  });
  const { server } = served;
  const { bytes } = numbered(40);
  const ends: ((raw: RawSocket, peer: Peer | undefined) => void)[] = [
    (raw) => raw.destroy(),
    // A Unix socket knows no reset.
    (raw) => (way.unix ? raw.destroy() : raw.reset()),
    (raw) => raw.end(),
    (raw) => raw.write(clientFrame(CLOSE, closePayload(1000))),
    (_, peer) => peer?.terminate(),
    (_, peer) => peer?.close(1000),
  ];
  const one = async (at: number): Promise<void> => {
    const raw = await served.open();
    const peer = [...server.peers].at(-1);
    let sent = 0;
    for (let round = 0; round <= at % 13; round++) {
      const next = sent + 1 + ((at * 977 + round * 3_001) % 9_000);
      raw.write(bytes.subarray(sent, next));
      sent = next;
      await nextTurn();
    }
    ends[at % ends.length]?.(raw, peer);
    await nextTurn();
    if (at % 2 === 0) raw.destroy();
    else {
      // Goes on reading until the server has done with it.
      await settle();
      raw.destroy();
    }
  };
  for (let group = 0; group < 200; group += 50)
    await Promise.all(Array.from({ length: 50 }, (_, at) => one(group + at)));
  await until('all peers to be gone', () => server.peers.size === 0);
  assert.deepEqual([opens, closes], [200, 200]);
  await within('server.close()', server.close({ timeoutMs: 60_000 }));
  await until('all handles to be closed', () => openHandles() <= before);
});

testEachWay('200 clients that end in the midst of it leave nothing behind', async (t, way) => {
  const before = openHandles();
  const served = await startWay(t, way, {
    limits: { maxBufferedBytes: 2 ** 30 },
    routes: {
      '/': {
        open(peer) {
          for (let i = 0; i < 20; i++) peer.send(Buffer.alloc(i * 500, i));
        },
      },
    },
  });
  let closes = 0;
  const one = async (at: number): Promise<void> => {
    let messages = 0;
    const client = await dialTo(t, served.server.url, {
      sharedReadBuffer: way.sharedReadBuffer,
      message(peer, message) {
        spoilSharedBuffer();
        assert.equal(message.length, messages * 500);
        if (messages++ !== at % 20) return undefined;
        if (at % 3 === 2) return nextTurn().then(() => peer.terminate());
        if (at % 3 === 0) peer.terminate();
        else peer.close(1000);
        return undefined;
      },
      close: () => void closes++,
    });
    await within('the end', client.closed);
  };
  await Promise.all(Array.from({ length: 200 }, (_, at) => one(at)));
  await until('all peers to be gone', () => served.server.peers.size === 0);
  assert.equal(closes, 200);
  await within('server.close()', served.server.close({ timeoutMs: 60_000 }));
  await until('all handles to be closed', () => openHandles() <= before);
});

describe('the process ends when all is closed', () => {
  const library = new URL('../../dist/index.js', import.meta.url).href;

  for (const sharedReadBuffer of [true, false]) {
    test(sharedReadBuffer ? 'shared buffer' : "'data'", async () => {
      const source = `
        import { mkdtempSync, rmSync } from 'node:fs';
        import { connect, serve } from ${JSON.stringify(library)};
        const folder = mkdtempSync('/tmp/aperto-');
        const routes = { '/': { message(peer, message) { peer.send(message); } } };
        for (const where of [{ port: 0 }, { unix: folder + '/test.sock' }]) {
          const options = { sharedReadBuffer: ${sharedReadBuffer} };
          const server = await serve({ routes, ...where, ...options });
          const peers = await Promise.all(Array.from({ length: 4 }, () => connect(server.url, options)));
          for (const peer of peers) peer.send('hello');
          for (const peer of peers) for await (const message of peer) { console.log(message); break; }
          peers[0].terminate();
          peers[1].close(1000);
          await peers[1].closed;
          await server.close();
          console.log((await Promise.all(peers.map((peer) => peer.closed))).map(({ code }) => code).join());
        }
        rmSync(folder, { recursive: true });
        process.on('exit', () => console.log(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length));`;
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '--eval', source],
        { timeout: 10_000 },
      );
      const round = 'hello\nhello\nhello\nhello\n1006,1000,1001,1001\n';
      assert.deepEqual([stdout, stderr], [`${round}${round}0\n`, '']);
    });
  }
});
