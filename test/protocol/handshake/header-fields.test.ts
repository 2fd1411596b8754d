import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';

const fields = new HeaderFields([
  ...['Host', 'a', 'HOST', 'b'],
  ...['Upgrade', ' websocket\t'],
  ...['Connection', 'keep-alive , UPGRADE'],
  ...['__proto__', 'x', 'constructor', 'y'],
  ...['connection', 'close'],
]);

test('names are of any case, and a field that came twice is there twice', () => {
  assert.deepEqual(fields.values('host'), ['a', 'b']);
  assert.deepEqual(fields.values('nothing'), []);
  assert.equal(fields.count, 7);
});

test('a value is without the whitespace around it', () => {
  assert.equal(fields.single('upgrade'), 'websocket');
});

test('single means exactly once', () => {
  assert.equal(fields.single('host'), undefined);
  assert.equal(fields.single('nothing'), undefined);
});

test('names that every object has are names like any other', () => {
  assert.equal(fields.single('__proto__'), 'x');
  assert.equal(fields.single('constructor'), 'y');
  assert.deepEqual(fields.values('tostring'), []);
  assert.equal(new HeaderFields([]).single('__proto__'), undefined);
});

test('a list is what all lines of a field make together', () => {
  for (const token of ['keep-alive', 'upgrade', 'close'])
    assert.ok(fields.hasToken('connection', token));
  for (const token of ['keep', 'up', '']) assert.ok(!fields.hasToken('connection', token));
  assert.ok(!fields.hasToken('nothing', 'upgrade'));
});

test('letters that only look like ASCII are others', () => {
  const kelvin = new HeaderFields(['Upgrade', 'websoc\u212aet']);
  assert.ok(!kelvin.hasToken('upgrade', 'websocket'));
});

test('32,000 spaces are so many spaces', () => {
  const long = new HeaderFields([
    'Connection',
    `a${' '.repeat(32_000)}b,${' '.repeat(32_000)}upgrade`,
  ]);
  assert.ok(long.hasToken('connection', 'upgrade'));
});
