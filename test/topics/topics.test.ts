import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { prepareMessage } from '../../dist/index.js';
import type { MessageBatch } from '../../dist/protocol/messages/message-batch.js';
import { TopicPolicies } from '../../dist/topics/topic-options.js';
import { type Subscriber, Topics } from '../../dist/topics/topics.js';
import { testPlatform } from '../protocol/test-platform.ts';
import { decodeFrames } from '../reference-codec.ts';

class Member implements Subscriber {
  readonly name: string;
  readonly log: string[];
  constructor(name: string, log: string[]) {
    this.name = name;
    this.log = log;
  }
  deliver(): void {
    this.log.push(this.name);
  }
  missed(): void {}
}

const message = prepareMessage('x');

/** Every publication is delivered before the call returns. */
const atOnce = { atEndOfTick: (task: () => void): void => task(), platform: testPlatform };
const noPolicies = new TopicPolicies();

test('delivers in the order of subscription, to all but one', () => {
  const log: string[] = [];
  const topics = new Topics<Member>(atOnce, noPolicies);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new Member(name, log)) as [
    Member,
    Member,
    Member,
  ];
  for (const member of [c, a, b]) topics.subscribe(member, 't');
  topics.publish('t', message);
  topics.publish('t', message, a);
  topics.publish('other', message);
  assert.deepEqual(log, ['c', 'a', 'b', 'c', 'b']);
});

describe('within a tick', () => {
  function setUp() {
    const tasks: (() => void)[] = [];
    const atEndOfTick = (task: () => void) => void tasks.push(task);
    const topics = new Topics<Recorder>({ atEndOfTick, platform: testPlatform }, noPolicies);
    const [a, b] = [new Recorder(), new Recorder()];
    for (const member of [a, b]) topics.subscribe(member, 't');
    const endTick = (): void => {
      for (const task of tasks.splice(0)) task();
    };
    return { topics, a, b, tasks, endTick };
  }

  class Recorder implements Subscriber {
    readonly got: { text: string; messages: number; frames: Uint8Array }[] = [];
    readonly lasts: boolean[] = [];
    missed(): void {}
    deliver(batch: MessageBatch, last: boolean): void {
      const frames = batch.plainFrames;
      const messages = batch.messages.length;
      this.lasts.push(last);
      const text = decodeFrames(frames).frames.map(({ payload }) =>
        String.fromCharCode(...payload),
      );
      this.got.push({ text: text.join(), messages, frames });
    }
    get texts(): string[] {
      return this.got.map(({ text, messages }) => `${text} ${messages}`);
    }
  }

  test('messages to a topic are one batch, the same memory for all', () => {
    const { topics, a, b, tasks, endTick } = setUp();
    for (const text of ['1', '2', '3']) topics.publish('t', prepareMessage(text));
    assert.equal(tasks.length, 1);
    assert.deepEqual(a.texts, []);
    endTick();
    assert.deepEqual(a.texts, ['1,2,3 3']);
    assert.deepEqual(b.texts, ['1,2,3 3']);
    assert.equal(a.got[0]?.frames, b.got[0]?.frames);
    topics.publish('t', prepareMessage('4'));
    endTick();
    assert.deepEqual(a.texts, ['1,2,3 3', '4 1']);
  });

  test('they are told whether the tick is at its end', () => {
    const { topics, a, endTick } = setUp();
    topics.publish('t', prepareMessage('1'));
    topics.flush();
    topics.publish('t', prepareMessage('2'));
    endTick();
    assert.deepEqual(a.texts, ['1 1', '2 1']);
    assert.deepEqual(a.lasts, [false, true]);
  });

  test('the order holds when the topic or the exception changes', () => {
    const { topics, a, b, endTick } = setUp();
    topics.subscribe(a, 'u');
    topics.publish('t', prepareMessage('1'));
    topics.publish('u', prepareMessage('2'));
    topics.publish('t', prepareMessage('3'));
    topics.publish('t', prepareMessage('4'), b);
    topics.publish('t', prepareMessage('5'), b);
    topics.publish('t', prepareMessage('6'));
    endTick();
    assert.deepEqual(a.texts, ['1 1', '2 1', '3 1', '4,5 2', '6 1']);
    assert.deepEqual(b.texts, ['1 1', '3 1', '6 1']);
  });

  test('who subscribes later gets nothing from before, who leaves everything', () => {
    const { topics, a, b, endTick } = setUp();
    topics.unsubscribe(b, 't');
    topics.publish('t', prepareMessage('1'));
    topics.subscribe(b, 't');
    topics.publish('t', prepareMessage('2'));
    topics.unsubscribe(b, 't');
    topics.publish('t', prepareMessage('3'));
    endTick();
    assert.deepEqual(a.texts, ['1 1', '2 1', '3 1']);
    assert.deepEqual(b.texts, ['2 1']);
  });

  test('flush does not wait, and leaves nothing for the end', () => {
    const { topics, a, endTick } = setUp();
    topics.publish('t', prepareMessage('1'));
    topics.flush();
    assert.deepEqual(a.texts, ['1 1']);
    endTick();
    topics.flush();
    assert.deepEqual(a.texts, ['1 1']);
  });

  test('nor does a batch that has grown large', () => {
    const { topics, a } = setUp();
    topics.publish('t', prepareMessage(new Uint8Array(40_000)));
    assert.equal(a.got.length, 0);
    topics.publish('t', prepareMessage(new Uint8Array(40_000)));
    assert.equal(a.got[0]?.messages, 2);
  });
});

test('one that leaves during a delivery is not delivered to, and harms nobody', () => {
  const log: string[] = [];
  const topics = new Topics<Member>(atOnce, noPolicies);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new Member(name, log)) as [
    Member,
    Member,
    Member,
  ];
  for (const member of [a, b, c]) topics.subscribe(member, 't');
  a.deliver = () => {
    log.push('a');
    topics.leave(a);
    topics.leave(b);
  };
  topics.publish('t', message);
  assert.deepEqual(log, ['a', 'c']);
  assert.equal(topics.count('t'), 1);
});

test('behaves as a table of pairs', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd');
  const topicNames = fc.constantFrom('x', 'y', '__proto__');
  const steps = fc.array(
    fc.record({
      do: fc.constantFrom('subscribe', 'subscribe', 'unsubscribe', 'leave', 'publish'),
      who: names,
      topic: topicNames,
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (program) => {
      const log: string[] = [];
      const members = new Map(['a', 'b', 'c', 'd'].map((name) => [name, new Member(name, log)]));
      const topics = new Topics<Member>(atOnce, noPolicies);
      let pairs: { who: string; topic: string }[] = [];
      for (const { do: action, who, topic } of program) {
        const member = members.get(who) as Member;
        const others = pairs.filter((pair) => pair.who !== who || pair.topic !== topic);
        if (action === 'subscribe') {
          topics.subscribe(member, topic);
          if (others.length === pairs.length) pairs.push({ who, topic });
        } else if (action === 'unsubscribe') {
          topics.unsubscribe(member, topic);
          pairs = others;
        } else if (action === 'leave') {
          topics.leave(member);
          pairs = pairs.filter((pair) => pair.who !== who);
        } else {
          log.length = 0;
          topics.publish(topic, message, member);
          assert.deepEqual(
            log,
            others
              .filter((pair) => pair.topic === topic && pair.who !== who)
              .map((pair) => pair.who),
          );
        }
        for (const name of ['x', 'y', '__proto__']) {
          assert.equal(topics.count(name), pairs.filter((pair) => pair.topic === name).length);
        }
      }
    }),
  );
});
