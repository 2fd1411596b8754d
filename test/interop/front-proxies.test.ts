import assert from 'node:assert/strict';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reconnect, type Server } from '../../dist/index.js';
import { Command } from '../cli/command.ts';
import { localCertificate } from '../faults/certificate.ts';
import { checkSwitched, dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, closePayload, serverFrame, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import {
  type Arrivals,
  checkCut,
  checkEcho,
  type Dialled,
  dialThrough,
  LARGE,
  start,
  startServer,
  stop,
  waysTo,
} from './behind-proxies.ts';
import { ChatCommand } from './chat-command.ts';
import { type FrontProgram, frontPrograms, type LoadBalancer } from './load-balancers.ts';
import { checkSame, everyMessage, trust } from './transports.ts';
import { theirClient } from './ws-peer.ts';

/** What these tests take where somebody else has both cores. */
const options = { timeout: 60_000 };
/** Another address of this machine than the proxy has. */
const ELSEWHERE = '127.0.0.2';

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 30_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < until, `waited in vain: ${what}`);
    await sleep(50);
  }
}

// Side by side: what takes long in them is waiting.
describe('proxies in front', { concurrency: frontPrograms.length }, () => {
  for (const program of frontPrograms) testProxy(program);
});

function testProxy(program: FrontProgram): void {
  const inTurn = { concurrency: 1, skip: program.skip };
  describe(`${program.name} in front of a server`, inTurn, () => {
    let server: Server;
    let arrivals: Arrivals;
    let front: LoadBalancer;
    before(async () => {
      ({ server, arrivals } = await startServer());
      front = await start(program, server.port);
    });
    after(async () => {
      await front?.[Symbol.asyncDispose]();
      if (server !== undefined) await stop(server, arrivals);
    });

    test('messages, pings, subprotocols, compression, close codes', options, async (t) => {
      for (const { url } of waysTo(front)) {
        const theirs = await theirClient(t, url, ['chat', 'superchat']);
        const ours = await arrivals.opened.next();
        assert.equal(theirs.socket.protocol, 'chat');
        assert.match(theirs.socket.extensions, /^permessage-deflate/);
        for (const message of everyMessage()) {
          theirs.socket.send(message);
          checkSame(await theirs.messages.next(), message);
        }
        theirs.socket.ping('there?');
        assert.equal(await theirs.pongs.next(), 'there?');
        ours.ping('and you?');
        assert.equal(await theirs.pings.next(), 'and you?');
        assert.equal(await arrivals.pongs.next(), 'and you?');
        ours.close(4000, 'r\u00e9ason');
        const told = await within('their end', theirs.closed);
        assert.deepEqual(told, { code: 4000, reason: 'r\u00e9ason' });
        await within('our end', ours.closed);

        const closing = await theirClient(t, url, []);
        const left = await arrivals.opened.next();
        closing.socket.close(1000, 'done');
        const { code, reason } = await within('our end', left.closed);
        assert.deepEqual([code, reason], [1000, 'done']);
      }
    });

    test('large messages, compressed and not', options, async (t) => {
      const bytes = Buffer.alloc(LARGE, 'not all of it is the same, but not all new either');
      for (const { url } of waysTo(front)) {
        for (const compression of [true, false]) {
          const dialled = await dialThrough(t, url, { compression });
          const ours = await arrivals.opened.next();
          assert.equal(ours.extensions !== '', compression);
          for (const message of [bytes, bytes.toString('latin1')]) {
            dialled.peer.send(message);
            checkSame(await dialled.messages.next(), message);
          }
          dialled.peer.close(1000);
          assert.equal((await within('the end', ours.closed)).code, 1000);
        }
      }
    });

    test('who asks, and by what, is what the proxy says, and nobody else', options, async (t) => {
      const ca = (await localCertificate()).cert;
      const from = { localAddress: ELSEWHERE };
      const forged = {
        'X-Forwarded-For': '192.0.2.1, 127.0.0.1',
        'X-Forwarded-Proto': 'gopher',
        'X-Forwarded-Host': 'evil.example',
        Forwarded: 'for=192.0.2.1;proto=gopher',
      };
      for (const { url, origin, tls } of waysTo(front)) {
        const agent = tls ? new HttpsAgent({ ...from, ca }) : new HttpAgent(from);
        t.after(() => agent.destroy());
        const asked = { agent, headers: { Origin: origin, ...forged } };
        await dialThrough(t, url, asked);
        const ours = await arrivals.opened.next();
        assert.equal(ours.remoteAddress, ELSEWHERE);
        assert.equal(ours.request.headers.host, new URL(origin).host);
        assert.equal(ours.request.headers['x-forwarded-for'], ELSEWHERE);
        assert.equal(ours.request.headers['x-forwarded-proto'], tls ? 'https' : 'http');

        const elsewhere = ['http://127.0.0.1:1', 'http://127.0.0.1', 'https://evil.example'];
        // Who came by TLS is not of a page without.
        if (tls) elsewhere.push(origin.replace('https:', 'http:'));
        for (const Origin of elsewhere) {
          const refused = dialThrough(t, url, { agent, headers: { ...forged, Origin } });
          await assert.rejects(refused, { code: 'STATUS_NOT_101', message: /\b403\b/ });
        }
      }

      // Past the proxy, from an address that is not listed.
      const agent = new HttpAgent(from);
      t.after(() => agent.destroy());
      const host = `127.0.0.1:${server.port}`;
      const past = (Origin: string): Promise<Dialled> => {
        const headers = { Origin, ...forged, 'X-Forwarded-Proto': 'https' };
        return dialThrough(t, `ws://${host}`, { agent, headers });
      };
      // It did not come by TLS, so pages of either scheme are of the same origin.
      await past(`http://${host}`);
      assert.equal((await arrivals.opened.next()).remoteAddress, ELSEWHERE);
    });

    test('either side ends its half of the connection', options, async () => {
      for (const { tls } of waysTo(front)) {
        const raw = await dial(tls ? front.tlsPort : front.plainPort, tls);
        raw.write(handshake());
        checkSwitched(await raw.readHead());
        const ours = await arrivals.opened.next();
        // All at once: message, close frame, FIN.
        raw.write(clientFrame(TEXT, 'hello'), clientFrame(CLOSE, closePayload(1000, 'bye')));
        raw.end();
        assert.deepEqual(await within('our end', ours.closed), {
          code: 1000,
          reason: 'bye',
          error: undefined,
        });
        const answer = Buffer.concat([
          serverFrame(TEXT, 'hello'),
          serverFrame(CLOSE, closePayload(1000)),
        ]).toString('latin1');
        const came = await raw.drainText();
        if (program.passesHalfClose) assert.equal(came, answer);
        // It may have ended both halves at once.
        else assert.ok(answer.startsWith(came), came);
        raw.destroy();

        // Without a close frame.
        const leaving = await dial(tls ? front.tlsPort : front.plainPort, tls);
        leaving.write(handshake());
        checkSwitched(await leaving.readHead());
        const left = await arrivals.opened.next();
        leaving.end();
        await checkCut(left);
        await leaving.drain();
        leaving.destroy();

        // The server.
        const staying = await dial(tls ? front.tlsPort : front.plainPort, tls);
        staying.write(handshake());
        checkSwitched(await staying.readHead());
        (await arrivals.opened.next()).close(4001, 'enough');
        await staying.expectClose(4001);
        staying.write(clientFrame(CLOSE, closePayload(4001)));
        await staying.expectEnd();
        staying.destroy();
      }
    });

    const { idle } = program;
    if (idle !== undefined) {
      test('what is silent ends; pings of either side keep it', options, async (t) => {
        const short = { [idle]: idle.replace('75', '4') };
        const impatient = await start(program, server.port, short);
        t.after(() => impatient[Symbol.asyncDispose]());
        const { url } = waysTo(impatient)[0];
        const byServer = await dialThrough(t, `${url}/pinging`);
        const limits = { pingAfterMs: 200 };
        const byClient = await dialThrough(t, `${url}/silent`, { limits });
        await arrivals.opened.take(2);
        const silent = await dialThrough(t, `${url}/silent`);
        const ours = await arrivals.opened.next();
        await checkCut(silent.peer, ours);
        await checkEcho(byServer, 'still there');
        await checkEcho(byClient, 'so am I');
      });
    } else {
      test('no time limit of its ends a WebSocket', options, async (t) => {
        const short = { 'read_header 10s': 'read_header 300ms', 'idle 2m': 'idle 300ms' };
        const impatient = await start(program, server.port, short);
        t.after(() => impatient[Symbol.asyncDispose]());
        for (const { url, tls } of waysTo(impatient)) {
          const silent = await dialThrough(t, `${url}/silent`);
          await arrivals.opened.next();
          const waiting = await dial(tls ? impatient.tlsPort : impatient.plainPort, tls);
          waiting.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
          await waiting.drain();
          waiting.destroy();
          await checkEcho(silent, 'still there');
        }
      });
    }

    test('it is restarted: in order, and by force', options, async (t) => {
      const other = await startServer();
      t.after(() => stop(other.server, other.arrivals));
      const restarted = await start(program, server.port);
      t.after(() => restarted[Symbol.asyncDispose]());
      const { url } = waysTo(restarted)[1];
      const before = await dialThrough(t, url);
      const ours = await arrivals.opened.next();
      await restarted.reload(new Array(program.servers).fill(other.server.port));
      await eventually('the new configuration', async () => {
        const { peer } = await dialThrough(t, url);
        peer.close(1000);
        return other.arrivals.opened.all.length > 0;
      });
      if (program.staysOnReload) await checkEcho(before, 'still there');
      else {
        assert.equal((await within('their end', before.peer.closed)).code, 1001);
        // Caddy 2.6 does not mask what it says to the server.
        const { code } = await within('our end', ours.closed);
        assert.ok(code === 1001 || code === 1002, `${code}`);
      }

      const states = new Mailbox<string>();
      const client = reconnect(url, {
        connect: await trust('tls'),
        backoff: { firstMs: 10 },
        open: () => states.put('open'),
        waiting: (_, { code }) => states.put(`lost with ${code}`),
      });
      t.after(() => client.close());
      assert.equal(await states.next(), 'open');
      await restarted.restart();
      if (program.staysOnReload) await checkCut(before.peer, ours);
      while ((await states.next()) !== 'open');
      assert.match(states.all.join(), /^open(,lost with 1006)+,open$/);
    });

    test('the server crashes, and is back', options, async (t) => {
      let command = new Command('echo', '--port', '0');
      t.after(() => command.signal('SIGKILL'));
      const listening = / listening on ws:.*:(\d+)\n/;
      const [, port = ''] = await within('the command', command.printed(listening));
      const inFront = await start(program, Number(port), program.soonAgain);
      t.after(() => inFront[Symbol.asyncDispose]());
      const { url } = waysTo(inFront)[0];
      const { peer } = await dialThrough(t, url);
      await command.signal('SIGKILL');
      await checkCut(peer);
      await assert.rejects(dialThrough(t, url), {
        code: 'STATUS_NOT_101',
        message: new RegExp(`\\b${program.awayStatus}\\b`),
      });
      command = new Command('echo', '--port', port);
      await within('the command', command.printed(listening));
      await eventually('the server is used again', () =>
        dialThrough(t, url).then(
          () => true,
          () => false,
        ),
      );
    });

    test('the chat, with its page', options, async (t) => {
      const chat = new ChatCommand('--port', '0', '--trusted-proxy', '127.0.0.1');
      t.after(() => chat.signal('SIGKILL'));
      const [, port = ''] = await within('the chat', chat.printed(/127\.0\.0\.1:(\d+)\//));
      const inFront = await start(program, Number(port));
      t.after(() => inFront[Symbol.asyncDispose]());
      const [plain, secure] = waysTo(inFront);
      const page = await fetch(plain.origin);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<!doctype html>/i);
      const ada = await dialThrough(t, `${plain.url}/chat?room=ada`, {
        headers: { Origin: plain.origin },
        protocols: ['chat'],
      });
      assert.match(String(await ada.messages.next()), /^\* you are guest-1 in ada/);
      const bob = await dialThrough(t, `${secure.url}/chat?room=ada`, {
        headers: { Origin: secure.origin },
        protocols: ['chat'],
      });
      assert.match(String(await bob.messages.next()), /^\* you are guest-2 in ada/);
      bob.peer.send('hello');
      let line: string;
      do line = String(await ada.messages.next());
      while (line.startsWith('*'));
      assert.match(line, /hello$/);
      const own = secure.origin.replace('https:', 'http:');
      for (const Origin of ['https://evil.example', own]) {
        const stranger = { headers: { Origin } };
        await assert.rejects(dialThrough(t, `${secure.url}/chat`, stranger), /\b403\b/);
      }
      const ended = chat.signal('SIGTERM');
      assert.equal((await within('the end', ada.peer.closed)).code, 1012);
      assert.equal(await ended, 0);
    });
  });
}
