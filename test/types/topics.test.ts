/** As session.test.ts: the compiler is the test of what it lets through, and what it does not. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import {
  attach,
  type Broker,
  type BrokerHost,
  type CloseOptions,
  MemoryEngine,
  type Message,
  type Peer,
  type Route,
  type ServeOptions,
  type ServerHealth,
  serve,
  type TopicListener,
  type TopicOptions,
  type TopicPolicy,
} from '../../dist/index.js';

/** Whether two types are the same, not just assignable. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_ extends true>(): void {}

/** A broker of the application's own. */
class OwnBroker implements Broker {
  #host: BrokerHost | undefined;
  async start(host: BrokerHost): Promise<void> {
    this.#host = host;
    host.up();
    host.gap();
    host.gap(['t']);
    host.down(undefined);
    host.received('t', new Uint8Array(1));
    // @ts-expect-error: bytes.
    host.received('t', 'text');
  }
  async subscribe(_topics: readonly string[]): Promise<void> {}
  async unsubscribe(_topics: readonly string[]): Promise<void> {}
  async publish(_topic: string, _bytes: Uint8Array): Promise<void> {
    this.#host?.up();
  }
  async close(): Promise<void> {}
}

async function check(): Promise<void> {
  const server = await serve<{ user: string }>({
    broker: new OwnBroker(),
    maxUnpublishedBytes: 1,
    topics: { 'prices/*': { slowPeers: 'latest' }, exact: { slowPeers: 'drop' }, none: {} },
    onHealth(health) {
      expectType<Same<typeof health, ServerHealth>>();
      expectType<Same<typeof health.status, 'ok' | 'degraded' | 'closing'>>();
      // @ts-expect-error: read only.
      health.ready = true;
    },
    routes: {
      '/': {
        upgrade: () => ({ user: 'x' }),
        gap(peer, topic) {
          expectType<Same<typeof peer, Peer<{ user: string }>>>();
          expectType<Same<typeof topic, string>>();
        },
      },
    },
  });
  const stop = server.subscribe('t', {
    message(data, topic) {
      expectType<Same<typeof data, Message>>();
      expectType<Same<typeof topic, string>>();
    },
    async gap(topic) {
      expectType<Same<typeof topic, string>>();
    },
  });
  expectType<Same<typeof stop, () => void>>();
  const isHanded = server.publish('t', 'x', { compress: false });
  expectType<Same<typeof isHanded, boolean>>();
  const isThere = await server.subscribed('t');
  expectType<Same<typeof isThere, boolean>>();
  // @ts-expect-error: what a listener is for.
  server.subscribe('t', { gap() {} });
  // @ts-expect-error: a listener is an object.
  server.subscribe('t', () => {});
  await server.close({ code: 1012, reason: 'x', noticeMs: 1, spreadMs: 1, timeoutMs: Infinity });
  // @ts-expect-error: a number.
  await server.close({ spreadMs: '1s' });

  // Options may be made by a condition, and handed on; where there is none it is left out, not undefined.
  const engine = new MemoryEngine();
  const isShared: boolean = server.health.ready;
  const options: TopicOptions = { ...(isShared && { broker: engine.broker() }) };
  await serve({ routes: {}, ...options });
  // @ts-expect-error: under exactOptionalPropertyTypes, as with all options.
  const wrong: ServeOptions<undefined> = { routes: {}, broker: undefined };
  // @ts-expect-error: likewise.
  const closing: CloseOptions = { spreadMs: undefined };
  attach(createServer(), {
    routes: {},
    broker: engine.broker(),
    topics: { '*': { slowPeers: 'close' } },
  });
  const listener: TopicListener = { message: () => {} };
  const route: Route<undefined> = { gap: async () => {} };
  const policy: TopicPolicy = {};
  // @ts-expect-error: no such policy.
  await serve({ routes: {}, topics: { t: { slowPeers: 'newest' } } });
  // @ts-expect-error: no such key.
  await serve({ routes: {}, topics: { t: { slowPeer: 'latest' } } });
  // @ts-expect-error: no broker.
  await serve({ routes: {}, broker: { publish() {} } });
  // @ts-expect-error: an engine has brokers, and is none.
  await serve({ routes: {}, broker: engine });
  // @ts-expect-error: with the methods of a broker.
  const half: Broker = { start: async () => {}, publish: async () => {} };
  void [wrong, closing, listener, route, policy, half];
}

test('the types are those of the public API', () => {
  assert.equal(typeof check, 'function');
});
