import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type Limits, type Peer, type Server, serve } from '../../dist/index.js';
import { Command } from '../cli/command.ts';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';
import { type Behind, everyBehind, http2Proxies, type ProxyInFront } from './http2-proxies.ts';
import { everyClient } from './proxied-client.ts';
import { checkSame, everyMessage } from './transports.ts';

/** What came to the server. */
class Arrivals {
  readonly opened = new Mailbox<Peer>();
  readonly pongs = new Mailbox<string>();
  readonly errors: unknown[] = [];
}

async function startServer(
  behind: Behind,
  closeTimeoutMs: number,
  arrivals: Arrivals,
  limits: Partial<Limits> = {},
): Promise<Server> {
  return await serve({
    ...(behind === 'h2c' && { http2: true }),
    ...(behind === 'h2' && { tls: await localCertificate() }),
    compression: true,
    // A million equal letters shrink to a thousandth.
    limits: { maxInflationRatio: Number.POSITIVE_INFINITY, closeTimeoutMs, ...limits },
    onError: (error) => arrivals.errors.push(error),
    routes: {
      '/': {
        protocols: ['superchat', 'chat'],
        open: (peer) => arrivals.opened.put(peer),
        message: (peer, message) => void peer.send(message),
        pong: (_, payload) => arrivals.pongs.put(String(Buffer.from(payload))),
      },
      '/nobody': { origins: [] },
    },
  });
}

for (const proxy of http2Proxies) {
  for (const behind of everyBehind) {
    describe(`${proxy.name} before us, by ${behind}`, { skip: proxy.skip }, () => {
      // Nothing may end by a time limit, also where nghttpx 1.52 forgets a stream behind it that has ended from there.
      const closeTimeoutMs = 60_000;
      let arrivals: Arrivals;
      let server: Server;
      let front: ProxyInFront;
      before(async () => {
        arrivals = new Arrivals();
        server = await startServer(behind, closeTimeoutMs, arrivals);
        front = await proxy.start(behind, server.port);
      });
      after(async () => {
        await front?.[Symbol.asyncDispose]();
        await server?.close({ timeoutMs: 200 });
        assert.deepEqual(arrivals.errors, []);
      });

      for (const client of everyClient) {
        const portOf = ({ plainPort, tlsPort }: ProxyInFront): number =>
          client.tls ? tlsPort : plainPort;

        test(`${client.name}: messages, pings, subprotocols`, async (t) => {
          const theirs = await client.open(t, portOf(front), { protocols: ['chat', 'superchat'] });
          const ours = await arrivals.opened.next();
          assert.equal(ours.transport, behind === 'http/1.1' ? 'http/1.1' : 'h2');
          for (const message of everyMessage()) {
            theirs.send(message);
            checkSame(await theirs.messages.next(), message);
          }
          theirs.ping('there?');
          assert.equal(await theirs.pongs.next(), 'there?');
          ours.ping('and you?');
          assert.equal(await theirs.pings.next(), 'and you?');
          assert.equal(await arrivals.pongs.next(), 'and you?');
          assert.equal(theirs.protocol, 'chat');
          theirs.cut();
          assert.equal((await within('our end', ours.closed)).code, 1006);

          const without = await client.open(t, portOf(front));
          assert.equal(without.protocol, '');
          (await arrivals.opened.next()).terminate();
          assert.equal((await within('their end', without.closed)).code, 1006);
        });

        test(`${client.name}: close codes, by either side`, async (t) => {
          for (const [code, reason] of [
            [1000, 'done'],
            [4000, 'r\u00e9ason'],
          ] as const) {
            const closing = await client.open(t, portOf(front));
            const left = await arrivals.opened.next();
            closing.close(code, reason);
            assert.equal((await within('their end', closing.closed)).code, code);
            const said = await within('our end', left.closed);
            assert.deepEqual(said, { code, reason, error: undefined });

            const closed = await client.open(t, portOf(front));
            const leaving = await arrivals.opened.next();
            leaving.close(code, reason);
            const info = await within('their end', closed.closed);
            assert.deepEqual([info.code, info.reason], [code, reason]);
            assert.equal((await within('our end', leaving.closed)).code, code);
          }
        });

        test(`${client.name}: refusals`, async (t) => {
          const origin = 'https://elsewhere.test';
          await assert.rejects(client.open(t, portOf(front), { origin }), /\b403\b/);
          await assert.rejects(client.open(t, portOf(front), { path: '/nowhere' }), /\b404\b/);
          assert.equal(server.peers.size, 0);
        });
      }

      test('more connections than there are streams', async (t) => {
        // What nghttpx opens before it knows how many it may.
        const limits = { maxStreams: 100 };
        const crowded = await startServer(behind, closeTimeoutMs, arrivals, limits);
        t.after(() => crowded.close({ timeoutMs: 0 }));
        const inFront = await proxy.start(behind, crowded.port);
        t.after(() => inFront[Symbol.asyncDispose]());
        const url = `ws://127.0.0.1:${inFront.plainPort}/`;
        const dialled = Array.from({ length: 250 }, () => connect(url, { compression: false }));
        const peers = await within('all of them', Promise.all(dialled));
        assert.equal(crowded.peers.size, peers.length);
        for (const peer of peers) peer.terminate();
        for (const peer of await arrivals.opened.take(peers.length)) await peer.closed;
      });

      test('the documented command', async (t) => {
        const text = documentedBlock('deploy/http2.md', 'Behind a proxy', 'sh');
        const line = text.split('\n')[everyBehind.indexOf(behind)] ?? '';
        const certificate = await localCertificate();
        const folder = await mkdtemp(join(tmpdir(), 'aperto-documented-'));
        t.after(() => rm(folder, { recursive: true, force: true }));
        const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
        await writeFile(cert, certificate.cert);
        await writeFile(key, certificate.key);
        const [, ...args] = adapted(line, {
          '9001': '0',
          ...(behind === 'h2' && { '/etc/aperto/cert.pem': cert, '/etc/aperto/key.pem': key }),
        }).split(' ');
        const command = new Command(...args);
        t.after(() => command.signal('SIGKILL'));
        const listening = within('the command', command.printed(/ listening on wss?:.*:(\d+)\n/));
        const inFront = await proxy.start(behind, Number((await listening)[1]));
        t.after(() => inFront[Symbol.asyncDispose]());
        const messages = new Mailbox<string | Uint8Array>();
        const peer = await connect(`wss://127.0.0.1:${inFront.tlsPort}`, {
          http2: true,
          tls: { ca: certificate.cert },
          message: (_, message) => messages.put(message),
        });
        t.after(() => peer.terminate());
        assert.equal(peer.transport, 'h2');
        peer.send('hello');
        assert.equal(await messages.next(), 'hello');
        peer.close(1000);
        assert.equal((await within('the end', peer.closed)).code, 1000);
        assert.equal(await command.signal('SIGTERM'), 0);
      });

      test('either side ends, while there are connections of every kind', async (t) => {
        const killed = await proxy.start(behind, server.port);
        t.after(() => killed[Symbol.asyncDispose]());
        const cut = [];
        const closed = [];
        for (const client of everyClient) {
          const theirs = await client.open(t, client.tls ? killed.tlsPort : killed.plainPort);
          cut.push({ theirs, ours: await arrivals.opened.next() });
          closed.push(await client.open(t, client.tls ? front.tlsPort : front.plainPort));
          await arrivals.opened.next();
        }
        await killed.kill();
        for (const { theirs, ours } of cut) {
          assert.equal((await within('their end', theirs.closed)).code, 1006);
          assert.equal((await within('our end', ours.closed)).code, 1006);
        }
        const ended = within('the end of the server', server.close({ timeoutMs: 60_000 }));
        for (const theirs of closed) {
          assert.equal((await within('their end', theirs.closed)).code, 1001);
        }
        await ended;
      });
    });
  }
}
