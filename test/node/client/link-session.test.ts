import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Message, Peer, Route } from '../../../dist/index.js';
import type { DialOptions } from '../../../dist/node/client/dial.js';
import {
  dialLink,
  type LinkSession,
  type LinkSessionEnd,
} from '../../../dist/node/client/link-session.js';
import { within } from '../../faults/raw-socket.ts';
import { expectFailureCode, Mailbox, makeGate, startServer } from '../connections.ts';

interface Linked {
  readonly link: LinkSession;
  readonly peer: Peer;
  readonly messages: Mailbox<Message>;
  readonly ends: Mailbox<LinkSessionEnd>;
  readonly told: string[];
}

/** A link to a server of ours, and the server's peer. */
async function linkTo(
  t: TestContext,
  route: Route<undefined> = {},
  options: DialOptions = {},
): Promise<Linked> {
  const peers = new Mailbox<Peer>();
  const { open } = route;
  const server = await startServer(t, {
    routes: {
      '/': {
        ...route,
        open(peer) {
          peers.put(peer);
          return open?.(peer);
        },
      },
    },
  });
  const messages = new Mailbox<Message>();
  const ends = new Mailbox<LinkSessionEnd>();
  const told: string[] = [];
  const attempt = dialLink(server.url, [], options);
  const handlers = {
    message: messages.put,
    progress: () => void told.push('progress'),
    closing: () => void told.push('closing'),
    closed: ends.put,
  };
  const link = await within('a link', attempt(handlers, new AbortController().signal));
  t.after(() => link.terminate());
  return { link, peer: await peers.next(), messages, ends, told };
}

test('messages both ways, and a close: told first, then done', async (t) => {
  const { link, messages, ends, told } = await linkTo(t, {
    message(peer, message) {
      peer.send(message);
      peer.close(4000, 'enough');
    },
  });
  assert.equal(link.send('hello'), true);
  assert.equal(await messages.next(), 'hello');
  const end = await ends.next();
  assert.deepEqual(end, { code: 4000, reason: 'enough', wasClean: true, error: undefined });
  assert.deepEqual(told, ['closing']);
  assert.equal(link.isOpen, false);
  assert.equal(link.send('late'), false);
});

test('held and released before anything was read: nothing is lost', async (t) => {
  const { link, peer, messages } = await linkTo(t);
  link.hold();
  link.release();
  for (let i = 0; i < 3; i++) peer.send(`${i}`);
  assert.deepEqual(await messages.take(3), ['0', '1', '2']);
});

test('a held link delivers nothing until it is released', async (t) => {
  const { link, peer, messages } = await linkTo(t);
  link.hold();
  peer.send('a');
  for (let i = 0; i < 20; i++) await turn();
  assert.deepEqual(messages.all, []);
  link.release();
  assert.equal(await messages.next(), 'a');
});

test('the end of a held link is told at once', async (t) => {
  const { link, peer, ends } = await linkTo(t);
  link.hold();
  peer.terminate();
  const { code, wasClean } = await ends.next();
  assert.deepEqual({ code, wasClean }, { code: 1006, wasClean: false });
});

test('false means that progress will follow', async (t) => {
  const gate = makeGate();
  const { link, told } = await linkTo(t, { message: () => gate.opened });
  const text = 'x'.repeat(1_000);
  let sent = 0;
  while (link.send(text)) sent += 1;
  assert.ok(sent * text.length > 64 * 1024);
  assert.ok(link.bufferedAmount > 64 * 1024);
  gate.open();
  await within(
    'progress',
    (async () => {
      while (!told.includes('progress')) await turn();
    })(),
  );
  assert.ok(link.bytesTaken > 0);
});

test('what is sent between cork and uncork leaves together, with uncork', async (t) => {
  const { link } = await linkTo(t);
  link.cork();
  link.send('a');
  link.send('b');
  await turn();
  assert.ok(link.bufferedAmount > 0);
  link.uncork();
  assert.equal(link.bufferedAmount, 0);
});

test('who offers subprotocols gets one, or none of it', async (t) => {
  const server = await startServer(t, { routes: { '/': {} } });
  const attempt = dialLink(server.url, ['chat'], {});
  const unused = (): never => assert.fail('there is no link');
  const handlers = { message: unused, progress: unused, closing: unused, closed: unused };
  const refused = attempt(handlers, new AbortController().signal);
  const error = await expectFailureCode(refused, 'SUBPROTOCOL_MISSING');
  assert.match(error.message, /chat/);
});
