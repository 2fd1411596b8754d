import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { run } from './command.ts';

const misuses: [string, RegExp][] = [
  ['', /a command is missing/],
  ['bogus', /no command "bogus"/],
  ['--bogus', /no command "--bogus"/],
  ['echo --bogus', /--bogus/],
  ['echo extra', /extra/],
  ['echo --port', /--port/],
  ['echo --port x', /--port takes a whole number/],
  ['echo --port -1', /--port/],
  ['echo --port 65536', /--port is 0 to 65535/],
  ['echo --max-message 0', /--max-message takes a whole number of 1 or more/],
  ['echo --max-message 1e3', /--max-message/],
  ['echo --max-fragments 1.5', /--max-fragments/],
  ['echo --h2c --max-streams 0', /--max-streams takes a whole number of 1 or more/],
  ['broadcast --h2c --max-streams many', /--max-streams/],
  ['echo --max-streams 5', /--max-streams is of HTTP\/2: it goes with --h2c or --tls-cert/],
  ['echo --protocol a,b', /subprotocols are distinct tokens/],
  ['echo --origin nonsense', /nonsense/],
  ['echo --tls-cert x.pem', /go together/],
  ['echo --h2c --tls-cert x.pem --tls-key y.pem', /--h2c is without TLS/],
  ['echo --tls-key x.pem', /go together/],
  ['echo --tls-cert nowhere.pem --tls-key nowhere.pem', /--tls-cert: .*nowhere\.pem/],
  ['echo --tls-cert package.json --tls-key package.json', /as PEM/],
  ['broadcast --port 5x', /--port/],
  ['connect', /needs a URL/],
  ['connect ws://127.0.0.1:1 ws://127.0.0.1:2', /one URL is enough/],
  ['connect http://127.0.0.1:1', /not a WebSocket URL/],
  ['connect nonsense', /not a WebSocket URL/],
  ['connect ws://127.0.0.1:1 --header nocolon', /'Name: value'/],
  ['connect ws://127.0.0.1:1 --header Upgrade:x', /Upgrade/],
  ['connect ws://127.0.0.1:1 --protocol a --protocol a', /there twice/],
  ['connect ws://127.0.0.1:1 --wait soon', /--wait takes seconds/],
  ['connect ws://127.0.0.1:1 --ca nowhere.pem', /--ca: .*nowhere\.pem/],
  ['connect ws://127.0.0.1:1 --ca package.json', /--ca takes a certificate/],
  ['connect ws://127.0.0.1:1 --cert x.pem', /--cert and --key go together/],
  ['connect ws://127.0.0.1:1 --key x.pem', /--cert and --key go together/],
  ['connect ws://127.0.0.1:1 --cert nowhere.pem --key nowhere.pem', /--cert: .*nowhere\.pem/],
  ['connect ws://127.0.0.1:1 --cert package.json --key package.json', /as PEM/],
  ['connect ws://127.0.0.1:1 --redirects many', /--redirects takes a whole number/],
  ['connect ws://127.0.0.1:1 --redirects -1', /--redirects/],
  ['connect ws://127.0.0.1:1 --proxy nonsense', /proxy is no URL/],
  ['connect ws://127.0.0.1:1 --proxy socks5://p:1', /proxy is not the URL of an HTTP or HTTPS/],
  ['connect ws+unix:/a.sock --proxy http://p:1', /proxy is not for ws\+unix:/],
];

describe('misuse: a sentence on stderr, nothing on stdout, exit code 2', { concurrency: 2 }, () => {
  for (const [line, says] of misuses) {
    test(`aperto ${line}`, async () => {
      const command = await run(line.split(' ').filter((word) => word !== ''));
      assert.match(command.stderr, says);
      assert.match(command.stderr, /^aperto: /);
      assert.doesNotMatch(command.stderr, /\n\s+at /, 'no stack');
      assert.equal(command.stdout, '');
      assert.equal(command.child.exitCode, 2);
    });
  }
});

describe('help', { concurrency: 2 }, () => {
  for (const [line, says] of [
    ['--help', /aperto connect/],
    ['-h', /aperto connect/],
    ['echo --help', /--max-fragments/],
    ['broadcast -h', /the sender too/],
    ['connect --help', /\/close/],
  ] as const) {
    test(`aperto ${line}`, async () => {
      const command = await run(line.split(' '));
      assert.match(command.stdout, says);
      assert.equal(command.stderr, '');
      assert.equal(command.child.exitCode, 0);
    });
  }

  test('aperto --version', async () => {
    assert.match((await run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});
