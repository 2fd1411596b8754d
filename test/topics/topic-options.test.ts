import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicPolicy } from '../../dist/index.js';
import { TopicPolicies } from '../../dist/topics/topic-options.js';

test('the most specific pattern has its say', () => {
  const policies = new TopicPolicies({
    '*': { slowPeers: 'close' },
    'prices/*': { slowPeers: 'latest' },
    'prices/eur/*': { slowPeers: 'drop' },
    'prices/usd': {},
    'a*b': { slowPeers: 'drop' },
  });
  const expected: Readonly<Record<string, TopicPolicy['slowPeers']>> = {
    prices: 'close',
    'prices/': 'latest',
    'prices/gbp': 'latest',
    'prices/eur': 'latest',
    'prices/eur/1': 'drop',
    'prices/usd': undefined,
    'prices/usd/1': 'latest',
    'a*b': 'drop',
    axb: 'close',
    // Names are not patterns.
    'prices/*': 'latest',
    'prices/usd*': 'latest',
    '*': 'close',
  };
  for (const [topic, slowPeers] of Object.entries(expected)) {
    assert.equal(policies.find(topic)?.slowPeers, slowPeers, topic);
  }
});

test('the order in which they were written does not matter', () => {
  const one = { 'a/*': { slowPeers: 'drop' }, 'a/b/*': { slowPeers: 'latest' } } as const;
  const other = { 'a/b/*': one['a/b/*'], 'a/*': one['a/*'] };
  for (const policies of [one, other].map((topics) => new TopicPolicies(topics))) {
    assert.equal(policies.find('a/x')?.slowPeers, 'drop');
    assert.equal(policies.find('a/b/x')?.slowPeers, 'latest');
  }
});

test('without any there is none, also for names like those of objects', () => {
  for (const policies of [
    new TopicPolicies(),
    new TopicPolicies({}),
    new TopicPolicies(undefined),
  ]) {
    for (const topic of ['x', '__proto__', 'constructor', 'toString']) {
      assert.equal(policies.find(topic), undefined);
    }
  }
});

test('what is no policy is told, with the topic', () => {
  const invalid = (detail: RegExp) => ({ code: 'INVALID_OPTION', message: detail });
  for (const topics of [null, 5, 'prices']) {
    assert.throws(() => new TopicPolicies(topics as never), invalid(/policies by topic/));
  }
  for (const policy of [null, undefined, 'latest', { slowPeers: 'newest' }, { slowPeers: null }]) {
    assert.throws(
      () => new TopicPolicies({ 'a"b': policy as never }),
      invalid(/topics\["a\\"b"\]/),
    );
  }
});
