/**
 * What the compiler lets through and what it does not. The compiler is the test: an `@ts-expect-error` above
 * a line without an error is one. `check` is called nowhere; what there is to run is at the end.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import {
  attach,
  type ClientPeer,
  type CloseInfo,
  connect,
  type Message,
  type Peer,
  type Peers,
  prepareMessage,
  RejectUpgrade,
  type Route,
  type Sendable,
  type Server,
  serve,
  type UpgradeRequest,
} from '../../dist/index.js';

/** Whether two types are the same, not just assignable. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_ extends true>(): void {}

interface Session {
  user: string;
}

async function check(): Promise<void> {
  // The session is named once, and known in every handler.
  const server = await serve<Session>({
    routes: {
      '/chat': {
        upgrade(request) {
          expectType<Same<typeof request, UpgradeRequest>>();
          return { user: request.headers.authorization ?? 'nobody' };
        },
        open(peer) {
          expectType<Same<typeof peer, Peer<Session>>>();
          expectType<Same<typeof peer.data, Session>>();
          peer.data = { user: 'other' };
          // @ts-expect-error: no such property.
          peer.data.name;
          // @ts-expect-error: not a session.
          peer.data = { user: 1 };
        },
        message(peer, message) {
          expectType<Same<typeof message, Message>>();
          expectType<Same<typeof message, string | Uint8Array>>();
          peer.publish('lobby', `${peer.data.user}: ${message}`);
        },
        async drain(peer) {
          expectType<Same<typeof peer.bufferedAmount, number>>();
        },
        ping(_, payload) {
          expectType<Same<typeof payload, Uint8Array>>();
        },
        close(_, code, reason) {
          expectType<Same<typeof code, number>>();
          expectType<Same<typeof reason, string>>();
        },
      },
      '/async': {
        upgrade: async () => ({ user: 'later' }),
      },
      '/wrong': {
        // @ts-expect-error: not a session.
        upgrade: () => ({ name: 'wrong' }),
      },
      '/wrong-later': {
        // @ts-expect-error: not a session.
        upgrade: async () => 5,
      },
    },
    onError(error, peer) {
      expectType<Same<typeof error, unknown>>();
      expectType<Same<typeof peer, Peer<Session> | undefined>>();
    },
  });
  expectType<Same<typeof server, Server<Session>>>();
  expectType<Same<typeof server.peers, Peers<Peer<Session>>>>();
  // @ts-expect-error: the list is the server's.
  server.peers.size = 0;
  // @ts-expect-error: read only.
  server.port = 80;

  // Without a session there is no data.
  const plain = await serve({
    routes: {
      '/': {
        open(peer) {
          expectType<Same<typeof peer.data, undefined>>();
        },
      },
    },
  });
  expectType<Same<typeof plain, Server<undefined>>>();

  // The same with a server that exists.
  const joined = attach<Session>(createServer(), {
    routes: { '*': { message: (peer) => void peer.data.user } },
  });
  expectType<Same<typeof joined, Server<Session>>>();

  // A route can be written down by itself.
  const route: Route<Session> = { upgrade: () => ({ user: 'x' }), slowPeers: 'latest' };
  await serve<Session>({ routes: { '/': route } });
  // @ts-expect-error: of another session.
  await serve<{ id: number }>({ routes: { '/': route } });

  // @ts-expect-error: routes are needed.
  await serve({ port: 80 });
  // @ts-expect-error: no such option.
  await serve({ routes: {}, prot: 80 });
  // @ts-expect-error: no such limit.
  await serve({ routes: {}, limits: { maxMessageByte: 1 } });
  // @ts-expect-error: no such policy.
  await serve({ routes: { '/': { slowPeers: 'ignore' } } });
  // @ts-expect-error: a list is needed.
  await serve({ routes: { '/': { protocols: 'chat' } } });
  // @ts-expect-error: one origin is a list of one.
  await serve({ routes: { '/': { origins: 'https://a.example' } } });

  const peer = await connect('ws://a.example', {
    protocols: ['chat'],
    headers: { Cookie: 'a=b' },
    signal: AbortSignal.timeout(1_000),
    message(from, message) {
      expectType<Same<typeof from, ClientPeer>>();
      expectType<Same<typeof message, Message>>();
    },
  });
  expectType<Same<typeof peer, ClientPeer>>();
  await connect(new URL('ws://a.example'));
  expectType<Same<typeof peer.closed, Promise<CloseInfo>>>();
  expectType<Same<typeof peer.state, 'open' | 'closing' | 'closed'>>();
  // @ts-expect-error: topics are a server's.
  peer.subscribe('x');
  // @ts-expect-error: read only.
  peer.bufferedAmount = 1;
  for await (const message of peer) expectType<Same<typeof message, Message>>();

  const sent: boolean = peer.send('text');
  peer.send(new Uint8Array(1));
  peer.send(new DataView(new ArrayBuffer(1)));
  peer.send(new ArrayBuffer(1));
  peer.send(prepareMessage('text'));
  // @ts-expect-error: JSON is the application's.
  peer.send({ sent });
  // @ts-expect-error: no number.
  peer.send(1);
  // @ts-expect-error: nothing is nothing.
  peer.send(undefined);
  // @ts-expect-error: a code is a number.
  peer.close('1000');
  // @ts-expect-error: at most text or bytes.
  peer.ping(new ArrayBuffer(1));
  const everything: Sendable[] = ['', Buffer.alloc(1), new Float64Array(1)];
  for (const one of everything) peer.send(one);

  // @ts-expect-error: headers are text.
  throw new RejectUpgrade(401, { headers: { 'X-Count': 1 } });
}

test('the types are those of the public API', () => {
  assert.equal(typeof check, 'function');
});
