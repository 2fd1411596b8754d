import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Message } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from '../node/connections.ts';
import { checkSame, everyMessage, transports, trust } from './transports.ts';
import { theirServer } from './ws-peer.ts';

for (const transport of transports) {
  describe(`our client, their server, ${transport}`, () => {
    test('messages of every size, both ways', async (t) => {
      const { url, accepted } = await theirServer(t, transport);
      const inbox = new Mailbox<Message>();
      const ours = await dialTo(t, url, {
        ...(await trust(transport)),
        // A million equal letters shrink to a thousandth.
        limits: { maxInflationRatio: Number.POSITIVE_INFINITY },
        message: (_, message) => inbox.put(message),
      });
      const theirs = await accepted.next();
      assert.equal(theirs.socket.extensions, 'permessage-deflate');
      for (const message of everyMessage()) {
        ours.send(message);
        checkSame(await theirs.messages.next(), message);
        theirs.socket.send(message);
        checkSame(await inbox.next(), message);
      }
    });

    test('fragments, with pings between', async (t) => {
      const { url, accepted } = await theirServer(t, transport);
      const inbox = new Mailbox<string>();
      const ours = await dialTo(t, url, {
        ...(await trust(transport)),
        message: (_, message) => inbox.put(String(message)),
        ping: (_, payload) => inbox.put(`ping ${Buffer.from(payload)}`),
      });
      const theirs = await accepted.next();
      theirs.socket.send('one, ', { fin: false });
      theirs.socket.ping('between');
      theirs.socket.send('', { fin: false });
      theirs.socket.send('two', { fin: true });
      assert.deepEqual(await inbox.take(2), ['ping between', 'one, two']);
      assert.equal(await theirs.pongs.next(), 'between');
      ours.ping('ours');
      assert.equal(await theirs.pings.next(), 'ours');
    });

    test('many at once keep their order', async (t) => {
      const { url, accepted } = await theirServer(t, transport);
      const ours = await dialTo(t, url, await trust(transport));
      const theirs = await accepted.next();
      theirs.socket.on('message', (data, binary) => theirs.socket.send(data, { binary }));
      const sent: (string | Buffer)[] = [];
      for (let at = 0; at < 300; at++) {
        const message = at % 2 === 0 ? `text ${at}` : Buffer.alloc(at * 20, at);
        sent.push(message);
        ours.send(message);
      }
      let at = 0;
      for await (const message of ours) {
        checkSame(message, sent[at++] as string | Buffer);
        if (at === sent.length) break;
      }
    });

    test('close codes and reasons, by either side', async (t) => {
      const { url, accepted } = await theirServer(t, transport);
      const options = await trust(transport);
      for (const [code, reason] of [
        [1000, 'done'],
        [1011, ''],
        [4000, 'r\u00e9ason'],
      ] as const) {
        const closing = await dialTo(t, url, options);
        const theirs = await accepted.next();
        closing.close(code, reason);
        assert.deepEqual(await within('their end', theirs.closed), { code, reason });
        assert.equal((await within('our end', closing.closed)).code, code);

        const closed = await dialTo(t, url, options);
        (await accepted.next()).socket.close(code, reason);
        const info = await within('our end', closed.closed);
        assert.deepEqual(info, { code, reason, error: undefined });
      }
      const cut = await dialTo(t, url, options);
      (await accepted.next()).socket.terminate();
      assert.equal((await within('our end', cut.closed)).code, 1006);
    });

    test('subprotocols', async (t) => {
      const { url } = await theirServer(t, transport);
      const options = await trust(transport);
      const peer = await dialTo(t, url, { ...options, protocols: ['chat', 'superchat'] });
      assert.equal(peer.protocol, 'superchat');
      assert.equal((await dialTo(t, url, options)).protocol, '');
    });
  });
}

test('their server refuses what is no upgrade of its own', async (t) => {
  const { WebSocketServer } = await import('ws');
  const { httpServer } = await import('./transports.ts');
  const { http, url } = await httpServer(t, 'tcp');
  const server = new WebSocketServer({ server: http, path: '/only' });
  t.after(() => server.close());
  const error = await expectFailureCode(dialTo(t, `${url}/other`), 'STATUS_NOT_101');
  assert.equal(error.response?.status, 400);
});
