import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arguments,
  readArguments,
  UsageError,
} from '../../apps/chat/dist/server/arguments.js';

const usual: Arguments = { port: 8080, host: '127.0.0.1', origins: [] };

test('without arguments: port 8080, this machine only', () => {
  assert.deepEqual(readArguments([], {}), usual);
  assert.deepEqual(readArguments([], { PORT: '', HOST: '' }), usual);
});

test('PORT and HOST choose the address, and the command line goes before them', () => {
  assert.deepEqual(readArguments([], { PORT: '0', HOST: '::1' }), {
    ...usual,
    port: 0,
    host: '::1',
  });
  assert.deepEqual(readArguments(['--port', '9', '--host=0.0.0.0'], { PORT: '1', HOST: '::1' }), {
    ...usual,
    port: 9,
    host: '0.0.0.0',
  });
});

test('--help is asked for, whatever else is', () => {
  assert.equal(readArguments(['--help', '--port', 'x'], {}), undefined);
  assert.equal(readArguments(['-h'], {}), undefined);
});

test('origins and a certificate are taken', () => {
  const given = readArguments(
    [
      '--origin',
      'https://a.example',
      '--origin=http://b.example:81',
      '--tls-cert=c',
      '--tls-key=k',
    ],
    {},
  );
  assert.deepEqual(given, {
    ...usual,
    origins: ['https://a.example', 'http://b.example:81'],
    certificate: 'c',
    key: 'k',
  });
});

test('what cannot be is refused with a sentence', () => {
  const wrong: ReadonlyArray<readonly [args: string[], says: RegExp]> = [
    [['--port', '65536'], /--port takes a port from 0 to 65535, not "65536"/],
    [['--port', '-1'], /--port/],
    [['--port='], /--port takes a port/],
    [['--port', '1e3'], /not "1e3"/],
    [['--port'], /--port/],
    [['--host='], /--host needs an address/],
    [['--tls-cert', 'c'], /--tls-cert and --tls-key go together/],
    [['--tls-key', 'k'], /--tls-cert and --tls-key go together/],
    [['--origin', 'example.org'], /--origin takes an origin such as/],
    [['--origin', 'https://example.org/'], /--origin takes an origin such as/],
    [['--origin', '*'], /--origin takes an origin such as/],
    [['--colour'], /--colour/],
    [['extra'], /extra/],
  ];
  for (const [args, says] of wrong) {
    assert.throws(
      () => readArguments(args, {}),
      (error: unknown) => error instanceof UsageError && says.test(error.message),
      args.join(' '),
    );
  }
  assert.throws(() => readArguments([], { PORT: 'http' }), /PORT takes a port/);
});
