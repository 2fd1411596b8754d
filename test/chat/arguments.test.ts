import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arguments,
  readArguments,
  UsageError,
} from '../../apps/chat/dist/server/arguments.js';

const usual: Arguments = {
  port: 8080,
  host: '127.0.0.1',
  origins: [],
  workers: 1,
  noticeMs: 0,
};

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

test('an engine is taken from the command line, or else from the environment', () => {
  const redis = { kind: 'redis', url: 'redis://:secret@localhost:6379/1' } as const;
  const nats = { kind: 'nats', url: 'nats://localhost' } as const;
  assert.deepEqual(readArguments(['--redis', redis.url], {}), { ...usual, engine: redis });
  assert.deepEqual(readArguments(['--nats', nats.url], {}), { ...usual, engine: nats });
  assert.deepEqual(readArguments([], { REDIS_URL: redis.url }), { ...usual, engine: redis });
  assert.deepEqual(readArguments([], { NATS_URL: nats.url, REDIS_URL: '' }), {
    ...usual,
    engine: nats,
  });
  assert.deepEqual(readArguments(['--nats', nats.url], { REDIS_URL: redis.url }), {
    ...usual,
    engine: nats,
  });
});

test('workers, and how to end', () => {
  assert.deepEqual(readArguments(['--workers', '3', '--notice', '7.5', '--spread=0'], {}), {
    ...usual,
    workers: 3,
    noticeMs: 7500,
    spreadMs: 0,
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
    [['--redis', 'redis://a', '--nats', 'nats://b'], /--redis and --nats do not go together/],
    [['--redis', 'localhost:6379'], /--redis takes a URL such as redis:\/\/localhost/],
    [['--redis='], /--redis takes a URL/],
    [['--redis', 'http://localhost'], /--redis takes a URL/],
    [['--nats', 'redis://localhost'], /--nats takes a URL such as nats:\/\/localhost/],
    [['--workers', '0'], /--workers takes a number from 1 to 999, not "0"/],
    [['--workers', '1.5'], /--workers/],
    [['--notice', '-1'], /--notice/],
    [['--notice', '3601'], /--notice takes seconds from 0 to 3600, not "3601"/],
    [['--spread', '1s'], /--spread takes seconds/],
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
  assert.throws(
    () => readArguments([], { REDIS_URL: 'redis://a', NATS_URL: 'nats://b' }),
    /REDIS_URL and NATS_URL do not go together/,
  );
  // What is wrong may be so near to a password that it is not repeated.
  assert.throws(
    () => readArguments(['--redis', 'http://:secret@host'], {}),
    (error: unknown) => error instanceof UsageError && !error.message.includes('secret'),
  );
});
