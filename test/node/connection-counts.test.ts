import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { defaultLimits } from '../../dist/index.js';
import { ConnectionCounts, countedTogether } from '../../dist/node/connection-counts.js';

suite('whose connections count together', () => {
  for (const [address, expected] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['2001:db8::3:4:5:6:7', '2001:db8:0:3::/64'],
    ['2001:db8:0:3::1', '2001:db8:0:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['fe80::1:2:3:4%lo', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ] as const) {
    test(address, () => assert.equal(countedTogether(address), expected));
  }
});

test('a network of IPv6 has the room of one address, whichever of its addresses leaves', () => {
  const counts = new ConnectionCounts({ ...defaultLimits, maxConnectionsPerAddress: 2 });
  assert.ok(counts.enter('2001:db8::1'));
  assert.ok(counts.enter('2001:db8::2'));
  assert.ok(!counts.enter('2001:db8::3'));
  assert.ok(counts.enter('2001:db8:0:1::1'));
  counts.leave('2001:db8::2');
  assert.ok(counts.enter('2001:db8::3'));
  assert.ok(!counts.enter('2001:db8::4'));
});

test('who was refused for the address does not count among all', () => {
  const limits = { ...defaultLimits, maxConnectionsPerAddress: 1, maxConnections: 2 };
  const counts = new ConnectionCounts(limits);
  assert.ok(counts.enter('192.0.2.1'));
  for (let i = 0; i < 5; i++) assert.ok(!counts.enter('192.0.2.1'));
  assert.ok(counts.enter('192.0.2.2'));
  assert.ok(!counts.enter('192.0.2.3'));
  // Nor for the address, where it was refused for all.
  counts.leave('192.0.2.1');
  assert.ok(counts.enter('192.0.2.3'));
});
