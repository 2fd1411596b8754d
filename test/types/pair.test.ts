/** As session.test.ts: the compiler is the test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClientPeer,
  createPair,
  type Message,
  type Pair,
  type PairClientOptions,
  type PairOptions,
  type Peer,
  type Route,
} from '../../dist/index.js';

/** Whether two types are the same, not just assignable. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_ extends true>(): void {}

interface Session {
  user: string;
}

async function check(route: Route<Session>): Promise<void> {
  const plain = await createPair();
  expectType<Same<typeof plain, Pair<undefined>>>();
  expectType<Same<typeof plain.server, Peer<undefined>>>();

  // The session is the route's.
  const pair = await createPair({ route });
  expectType<Same<typeof pair.client, ClientPeer>>();
  expectType<Same<typeof pair.server, Peer<Session>>>();
  const options: PairOptions<Session> = { route, url: '/rooms/1' };
  const { connect } = await createPair(options);
  const another = await connect({ url: '/rooms/2' });
  expectType<Same<typeof another, Pair<Session>>>();

  await createPair<Session>({
    route: { ...route, upgrade: () => ({ user: 'ada' }) },
    onError(error, peer) {
      expectType<Same<typeof error, unknown>>();
      expectType<Same<typeof peer, Peer<Session> | undefined>>();
    },
    client: {
      protocols: ['chat'],
      message(peer, message) {
        expectType<Same<typeof peer, ClientPeer>>();
        expectType<Same<typeof message, Message>>();
      },
      onError(_error, peer) {
        expectType<Same<typeof peer, ClientPeer>>();
      },
    },
  });
  // @ts-expect-error: of another session.
  await createPair<{ id: number }>({ route });
  // @ts-expect-error: not a session.
  await createPair<Session>({ route: { upgrade: () => ({ name: 'wrong' }) } });
  // @ts-expect-error: the route is there already.
  await connect({ route });
  // @ts-expect-error: no such option.
  await createPair({ routes: {} });
  // @ts-expect-error: there is no socket that it could be for.
  const client: PairClientOptions = { tls: {} };
  // @ts-expect-error: a client has no topics.
  pair.client.subscribe('x');
  await connect({ client });
}

test('the types are those of the public API', () => {
  assert.equal(typeof check, 'function');
});
