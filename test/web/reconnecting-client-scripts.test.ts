/** Whatever happens in whatever order: messages keep their order, none is doubled, and none is lost in silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { QueueOptions } from '../../dist/web/reconnect-options.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import { ScriptedDial, type ScriptedLink, settled } from './scripted-dial.ts';

const queues: fc.Arbitrary<QueueOptions> = fc.record({
  maxMessages: fc.integer({ min: 1, max: 4 }),
  maxBytes: fc.integer({ min: 1, max: 20 }),
  policy: fc.constantFrom('refuse', 'drop-oldest'),
});

const steps = fc.oneof(
  { arbitrary: fc.constant('send' as const), weight: 6 },
  { arbitrary: fc.constant('open' as const), weight: 3 },
  { arbitrary: fc.constant('open slow' as const), weight: 2 },
  fc.constantFrom('fail', 'lose', 'go silent', 'slow', 'take some', 'take all', 'retry', 'wait'),
  { arbitrary: fc.constant('close' as const), weight: 1 },
);

const scripts = fc.record({
  queue: queues,
  steps: fc.array(steps, { minLength: 10, maxLength: 80 }),
  /** How many messages each `open` sends. */
  greetings: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 5 }),
});

type Script = typeof scripts extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly network = new ScriptedDial();
  readonly client: ReconnectingClient;
  readonly refused: string[] = [];
  readonly dropped: string[] = [];
  readonly links: ScriptedLink[] = [];
  readonly states: string[] = [];
  #messages = 0;
  #opened = 0;

  constructor({ queue, greetings }: Script) {
    const noteState = (client: ReconnectingClient): void => {
      this.states.push(client.state);
    };
    this.client = new ReconnectingClient(this.network.dial, 'ws://host/', {
      queue,
      connecting: noteState,
      waiting: noteState,
      closing: noteState,
      closed: noteState,
      open: (client) => {
        noteState(client);
        for (let i = 0; i < (greetings[this.#opened] ?? 0); i += 1) {
          this.#send(`hello ${this.#opened} ${i}`);
        }
        this.#opened += 1;
      },
      dropped: (_client, data) => {
        this.dropped.push(String(data));
      },
    });
  }

  /** All that reached a link, link by link. */
  get handedOver(): string[] {
    return this.links.flatMap(({ sent }) => sent.map(String));
  }

  #send(text: string): void {
    if (!this.client.send(text)) this.refused.push(text);
  }

  async step(name: Script['steps'][number], tick: (ms: number) => void): Promise<void> {
    const link = this.links.at(-1);
    const { state } = this.client;
    if (name === 'send') {
      this.#send(`${this.#messages}`);
      this.#messages += 1;
    } else if (name === 'retry') this.client.retry();
    else if (name === 'wait') tick(60_000);
    else if (name === 'close') this.client.close();
    else if (name === 'open' || name === 'open slow') {
      if (state !== 'connecting') return;
      const opened = this.network.last.succeed();
      opened.isSlow = name === 'open slow';
      this.links.push(opened);
    } else if (name === 'fail') {
      if (state === 'connecting') this.network.last.fail(new Error('refused'));
    } else if (link === undefined || (state !== 'open' && state !== 'closing')) return;
    else if (name === 'lose') link.end({ code: 1006 });
    else if (name === 'go silent') link.isOpen = false;
    else if (name === 'slow') link.isSlow = true;
    else if (name === 'take some') link.take(Math.floor(link.bufferedAmount / 2));
    else {
      link.isSlow = false;
      link.take();
    }
    await settled();
  }

  get sent(): number {
    return this.#messages;
  }

  greetingsSent(greetings: readonly number[]): string[] {
    return greetings
      .slice(0, this.#opened)
      .flatMap((count, opened) => Array.from({ length: count }, (_, i) => `hello ${opened} ${i}`));
  }
}

const isGreeting = (text: string): boolean => text.startsWith('hello');

test('messages keep their order, none is doubled, and none is lost in silence', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const tick = (ms: number): void => t.mock.timers.tick(ms);
  let handedOver = 0;
  let dropped = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const run = new Run(script);
      await settled();
      for (const step of script.steps) await run.step(step, tick);

      // What is queued is the rest, and counted.
      const known = run.handedOver.length + run.refused.length + run.dropped.length;
      const all = run.sent + run.greetingsSent(script.greetings).length;
      assert.equal(run.client.queued, all - known);

      // At the end nothing is queued, and each message is in exactly one place.
      run.client.close();
      await run.step('lose', tick);
      tick(60_000);
      await settled();
      assert.equal(run.client.state, 'closed');
      assert.equal(run.client.queued, 0);
      const places = [...run.handedOver, ...run.refused, ...run.dropped].sort();
      const messages = Array.from({ length: run.sent }, (_, i) => `${i}`);
      const expected = [...messages, ...run.greetingsSent(script.greetings)].sort();
      assert.deepEqual(places, expected);

      // In order over all links; and of what `open` sent first of all.
      const ordered = run.handedOver.filter((text) => !isGreeting(text)).map(Number);
      assert.deepEqual(
        ordered,
        ordered.toSorted((a, b) => a - b),
      );
      for (const [index, { sent }] of run.links.entries()) {
        const texts = sent.map(String);
        const own = texts.filter((text) => text.startsWith(`hello ${index} `));
        assert.deepEqual(texts.slice(0, own.length), own.toSorted());
      }

      // Each state was told: no two of the same follow each other, and the last is the end.
      const { states } = run;
      assert.ok(states.every((state, i) => state !== states[i - 1]));
      assert.equal(states.at(-1), 'closed');
      assert.equal(states.filter((state) => state === 'closed').length, 1);

      handedOver += run.handedOver.length;
      dropped += run.dropped.length;
      refused += run.refused.length;
    }),
    { numRuns: 500 },
  );
  // The scripts were not all boring.
  t.diagnostic(`${handedOver} handed over, ${dropped} dropped, ${refused} refused`);
  assert.ok(Math.min(handedOver, dropped, refused) > 200);
});
