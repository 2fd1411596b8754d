import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BrokerHost, MemoryEngine } from '../../dist/index.js';

class Host implements BrokerHost {
  readonly log: string[] = [];
  received(topic: string, bytes: Uint8Array): void {
    this.log.push(`${topic} ${bytes.join()}`);
  }
  up(): void {
    this.log.push('up');
  }
  down(): void {
    this.log.push('down');
  }
  gap(): void {
    this.log.push('gap');
  }
}

async function startTwo() {
  const engine = new MemoryEngine();
  const [a, b] = [engine.broker(), engine.broker()];
  const [onA, onB] = [new Host(), new Host()];
  await a.start(onA);
  await b.start(onB);
  return { engine, a, b, onA, onB };
}

test('all who are subscribed get it, in order, the publisher too; nobody else does', async () => {
  const { a, b, onA, onB } = await startTwo();
  await a.subscribe(['t', 'u']);
  await b.subscribe(['t']);
  await b.subscribe(['t']);
  const sent = [
    a.publish('t', Uint8Array.of(1)),
    a.publish('u', Uint8Array.of(2)),
    b.publish('t', Uint8Array.of(3)),
  ];
  await Promise.all(sent);
  assert.deepEqual(onA.log, ['up', 't 1', 'u 2', 't 3']);
  assert.deepEqual(onB.log, ['up', 't 1', 't 3']);
  await b.unsubscribe(['t', 'never']);
  await a.publish('t', Uint8Array.of(4));
  assert.equal(onB.log.length, 3);
});

test('engines have nothing in common', async () => {
  const [one, other] = [await startTwo(), await startTwo()];
  await other.a.subscribe(['t']);
  await one.a.publish('t', Uint8Array.of(1));
  assert.deepEqual(other.onA.log, ['up']);
});

test('what is closed is away, hears nothing, and leaves the others alone', async () => {
  const { a, b, onA, onB } = await startTwo();
  for (const broker of [a, b]) await broker.subscribe(['t']);
  await a.close();
  await a.close();
  const away = { code: 'ENGINE_AWAY' };
  await assert.rejects(a.publish('t', Uint8Array.of(1)), away);
  await assert.rejects(a.subscribe(['t']), away);
  await assert.rejects(a.unsubscribe(['t']), away);
  await b.publish('t', Uint8Array.of(2));
  assert.deepEqual(onA.log, ['up']);
  assert.deepEqual(onB.log, ['up', 't 2']);
});

test('one that was not started is away, and can be closed', async () => {
  const broker = new MemoryEngine().broker();
  await assert.rejects(broker.publish('t', new Uint8Array(1)), { code: 'ENGINE_AWAY' });
  await broker.close();
});

test('a broker is for one server, also once it is closed', async () => {
  const { a } = await startTwo();
  await assert.rejects(a.start(new Host()), { code: 'INVALID_OPTION' });
  await a.publish('t', new Uint8Array(1));
  await a.close();
  await assert.rejects(a.start(new Host()), { code: 'INVALID_OPTION' });
});
