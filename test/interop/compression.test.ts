import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type PerMessageDeflateOptions, WebSocketServer } from 'ws';
import type { CompressionOptions, Message, Peer, Server } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, startServer } from '../node/connections.ts';
import { checkSame, everyMessage, httpServer } from './transports.ts';
import { TheirPeer, theirClient } from './ws-peer.ts';

const limits = { maxBufferedBytes: Infinity, maxInflationRatio: 2_000 };

/** Our server, which echoes. */
function ourEcho(t: TestContext, compression: CompressionOptions): Promise<Server> {
  return startServer(t, {
    compression: { threshold: 0, ...compression },
    limits,
    routes: { '/': { message: (peer, message) => void peer.send(message) } },
  });
}

/** Their server, which echoes. */
async function theirEcho(
  t: TestContext,
  perMessageDeflate: PerMessageDeflateOptions,
): Promise<{ url: string; accepted: Mailbox<TheirPeer> }> {
  const { http, url } = await httpServer(t, 'tcp');
  const server = new WebSocketServer({
    server: http,
    perMessageDeflate: { threshold: 0, ...perMessageDeflate },
  });
  const accepted = new Mailbox<TheirPeer>();
  server.on('connection', (socket) => {
    const peer = new TheirPeer(socket);
    socket.on('message', (data: Buffer, binary) => socket.send(data, { binary }));
    accepted.put(peer);
  });
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { url, accepted };
}

/** JSON of so many bytes that repeats its keys. */
function json(size: number): string {
  let text = '';
  for (let at = 0; text.length < size; at++) {
    text += `{"id":${at * 7919},"name":"caf\u00e9 ${at % 13}","seen":[${at},${at * at}]},`;
  }
  return text.slice(0, size);
}

/** Text and bytes, short and long; those that follow each other are alike, which takeover makes use of. */
const messages: readonly (string | Buffer)[] = [
  0, 1, 20, 300, 301, 5_000, 70_000, 64, 140_000, 300,
].flatMap((size) => [json(size), Buffer.from(json(size), 'latin1'), randomBytes(size)]);

const bits: readonly (readonly [theirs: number, ours: number])[] = [
  [15, 15],
  [9, 15],
  [15, 9],
  [12, 10],
  [8, 15],
];

/** Every combination of parameters that either side may name: which window is whose depends on who connects. */
function combinations(): {
  name: string;
  ours: CompressionOptions & { takeover: boolean };
  /** Left out is not false for them, which is to fail where the other side wants it. */
  theirs: { clientNoContextTakeover?: true; serverNoContextTakeover?: true };
  theirBits: number;
  ourBits: number;
}[] {
  const flags = [false, true];
  return flags.flatMap((takeover) =>
    flags.flatMap((clientNoContextTakeover) =>
      flags.flatMap((serverNoContextTakeover) =>
        bits.map(([theirBits, ourBits]) => ({
          name:
            `takeover ${takeover}, they want none of the client's ${clientNoContextTakeover}, ` +
            `none of the server's ${serverNoContextTakeover}, their bits ${theirBits}, ours ${ourBits}`,
          ours: { takeover, windowBits: ourBits, peerWindowBits: theirBits },
          theirs: {
            ...(clientNoContextTakeover ? { clientNoContextTakeover } : {}),
            ...(serverNoContextTakeover ? { serverNoContextTakeover } : {}),
          },
          theirBits,
          ourBits,
        })),
      ),
    ),
  );
}

describe('their client, our server', () => {
  for (const { name, ours, theirs, theirBits, ourBits } of combinations()) {
    test(name, async (t) => {
      const server = await ourEcho(t, ours);
      const { socket, messages: inbox } = await theirClient(t, server.url, [], {
        perMessageDeflate: {
          threshold: 0,
          ...theirs,
          ...(ourBits < 15 ? { serverMaxWindowBits: ourBits } : {}),
        },
      });
      const noServer = !ours.takeover || theirs.serverNoContextTakeover === true;
      const noClient = !ours.takeover || theirs.clientNoContextTakeover === true;
      const [peer] = server.peers;
      assert.equal(
        peer?.extensions,
        [
          'permessage-deflate',
          ...(noServer ? ['server_no_context_takeover'] : []),
          ...(noClient ? ['client_no_context_takeover'] : []),
          ...(ourBits < 15 ? [`server_max_window_bits=${ourBits}`] : []),
          ...(theirBits < 15 ? [`client_max_window_bits=${theirBits}`] : []),
        ].join('; '),
      );
      for (const message of messages) socket.send(message);
      for (const message of messages) checkSame(await inbox.next(), message);
      const { inflated, deflated } = server.compression;
      assert.ok(inflated.messages >= (messages.length * 2) / 3 && deflated.messages > 0);
      socket.terminate();
    });
  }
});

describe('our client, their server', () => {
  for (const { name, ours, theirs, theirBits, ourBits } of combinations()) {
    test(name, async (t) => {
      const { url, accepted } = await theirEcho(t, {
        ...theirs,
        ...(ourBits < 15 ? { clientMaxWindowBits: ourBits } : {}),
      });
      const inbox = new Mailbox<Message>();
      const client = await dialTo(t, url, {
        compression: { threshold: 0, ...ours },
        limits,
        message: (_, message) => inbox.put(message),
      });
      await accepted.next();
      assert.match(client.extensions, /^permessage-deflate/);
      const says = (parameter: string): boolean => client.extensions.includes(parameter);
      const { clientNoContextTakeover = false, serverNoContextTakeover = false } = theirs;
      assert.equal(says('server_no_context_takeover'), !ours.takeover || serverNoContextTakeover);
      assert.equal(says('client_no_context_takeover'), !ours.takeover || clientNoContextTakeover);
      assert.equal(says(`server_max_window_bits=${theirBits}`), theirBits < 15);
      assert.equal(says(`client_max_window_bits=${ourBits}`), ourBits < 15);
      for (const message of messages) client.send(message);
      for (const message of messages) checkSame(await inbox.next(), message);
      const { inflated, deflated } = client.compression;
      assert.ok(inflated.messages >= (messages.length * 2) / 3 && deflated.messages > 0);
      client.terminate();
    });
  }
});

for (const takeover of [false, true]) {
  test(`up to 1 MiB, both ways, takeover ${takeover}`, async (t) => {
    const server = await ourEcho(t, { takeover });
    const { socket, messages: atThem } = await theirClient(t, server.url, [], {
      perMessageDeflate: { threshold: 0 },
    });
    const { url } = await theirEcho(t, {});
    const atUs = new Mailbox<Message>();
    const client = await dialTo(t, url, {
      compression: { takeover, threshold: 0 },
      limits,
      message: (_, message) => atUs.put(message),
    });
    const all = [...everyMessage(), json(1_000_000), randomBytes(1_048_576)];
    for (const message of all) {
      socket.send(message);
      client.send(message);
    }
    for (const message of all) {
      checkSame(await atThem.next(), message);
      checkSame(await atUs.next(), message);
    }
    socket.terminate();
  });

  test(`their fragments, with pings between, takeover ${takeover}`, async (t) => {
    const server = await ourEcho(t, { takeover });
    const { socket, messages: inbox } = await theirClient(t, server.url, [], {
      perMessageDeflate: { threshold: 0 },
    });
    for (const message of messages) {
      const binary = typeof message !== 'string';
      const whole = Buffer.from(message);
      const cuts = [0, whole.length >> 3, whole.length >> 2, whole.length >> 1, whole.length];
      for (const [at, from] of cuts.entries()) {
        const fin = at === cuts.length - 1;
        socket.send(whole.subarray(from, cuts[at + 1] ?? whole.length), { binary, fin });
        if (at === 2) socket.ping();
      }
    }
    for (const message of messages) checkSame(await inbox.next(), message);
    socket.terminate();
  });
}

test('closing behind compressed messages, by either side', async (t) => {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, { compression: true, routes: { '/': { open: opened.put } } });
  const theirs = await theirClient(t, server.url, [], { perMessageDeflate: { threshold: 0 } });
  const peer = await opened.next();
  peer.send(json(200_000));
  peer.close(4_000, 'enough');
  checkSame(await theirs.messages.next(), json(200_000));
  assert.deepEqual(await within('their end', theirs.closed), { code: 4_000, reason: 'enough' });
  assert.deepEqual(theirs.errors, []);
});

/** Runs a TCP relay that cuts what passes, in both directions, into pieces of the sizes that `size` gives. */
async function startRelay(t: TestContext, to: number, size: () => number): Promise<number> {
  const sockets = new Set<Socket>();
  const relay = createServer((client) => {
    const server = connectTcp({ host: '127.0.0.1', port: to });
    for (const [from, onto] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => {});
      void (async () => {
        for await (const chunk of from as AsyncIterable<Buffer>) {
          for (let at = 0; at < chunk.length; ) {
            const piece = chunk.subarray(at, at + size());
            at += piece.length;
            onto.write(piece);
            await nextTurn();
          }
        }
        onto.end();
      })().catch(() => onto.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const address = relay.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** Numbers that are the same in each run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What deflate finds hard or easy, of random lengths below a bound. */
function adversarial(below: number, count: number): Buffer[] {
  const next = sequence(below);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => next(256)));
  const kinds: readonly ((length: number) => Buffer)[] = [
    noise,
    (length) => Buffer.alloc(length),
    (length) => Buffer.alloc(length, noise(1 + next(300))),
    (length) => Buffer.alloc(length, 'ab'),
    // Each period is a little longer than a window of 512, or than the longest match.
    (length) => Buffer.alloc(length, noise(513)),
    (length) => Buffer.alloc(length, noise(259)),
    // Runs and noise by turns.
    (length) => {
      const pieces = Array.from({ length: 8 }, (_, at) =>
        at % 2 === 0 ? noise(length >> 3) : Buffer.alloc(length >> 3, at),
      );
      return Buffer.concat(pieces);
    },
  ];
  return Array.from({ length: count }, (_, at) =>
    (kinds[at % kinds.length] as (typeof kinds)[0])(next(below)),
  );
}

const cuttings: readonly (readonly [
  name: string,
  size: () => number,
  below: number,
  count: number,
])[] = (() => {
  const next = sequence(7);
  return [
    ['one byte', () => 1, 400, 28],
    ['a few bytes', () => 1 + next(7), 1_500, 42],
    ['random sizes', () => 1 + next(next(4) === 0 ? 20_000 : 200), 30_000, 56],
    ['large ones', () => 1_000 + next(100_000), 300_000, 28],
  ];
})();

for (const [name, size, below, count] of cuttings) {
  for (const takeover of [false, true]) {
    test(`cut into pieces of ${name}, random and adversarial messages come back, takeover ${takeover}`, async (t) => {
      const options = { takeover, windowBits: takeover ? 9 : 15, threshold: 0 };
      const server = await ourEcho(t, options);
      const port = await startRelay(t, server.port, size);
      const inbox = new Mailbox<Message>();
      const client = await dialTo(t, `ws://127.0.0.1:${port}`, {
        compression: options,
        limits,
        message: (_, message) => inbox.put(message),
      });
      const theirs = await theirClient(t, `ws://127.0.0.1:${port}`, [], {
        perMessageDeflate: { threshold: 0 },
      });
      const all = adversarial(below, count);
      for (const message of all) {
        client.send(message);
        theirs.socket.send(message);
      }
      for (const message of all) {
        checkSame(await inbox.next(), message);
        checkSame(await theirs.messages.next(), message);
      }
      assert.ok(server.compression.inflated.messages > all.length);
      client.terminate();
      theirs.socket.terminate();
    });
  }
}
