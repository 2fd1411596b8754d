import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prepareMessage } from '../../dist/index.js';
import { type Subscriber, Topics } from '../../dist/topics/topics.js';

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
}

const message = prepareMessage('x');

test('delivers in the order of subscription, to all but one', () => {
  const log: string[] = [];
  const topics = new Topics<Member>();
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

test('one that leaves during a delivery is not delivered to, and harms nobody', () => {
  const log: string[] = [];
  const topics = new Topics<Member>();
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
      const topics = new Topics<Member>();
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
