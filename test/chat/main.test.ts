import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../dist/index.js';

const main = fileURLToPath(new URL('../../apps/chat/dist/server/main.js', import.meta.url));

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  readonly ended: Promise<number | null>;
}

function run(t: TestContext, args: string[], env: Record<string, string> = {}): Run {
  const { PORT: _port, HOST: _host, ...inherited } = process.env;
  const child = spawn(process.execPath, [main, ...args], { env: { ...inherited, ...env } });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    output += piece;
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    errors += piece;
  });
  const ended = once(child, 'close').then(() => child.exitCode);
  return { child, output: () => output, errors: () => errors, ended };
}

/** The line that the server prints when it listens. */
async function started({ child, output, errors, ended }: Run): Promise<string> {
  while (!output().includes('\n')) {
    const end = await Promise.race([ended.then(() => true), once(child.stdout ?? child, 'data')]);
    assert.notEqual(end, true, `it ended: ${errors()}`);
  }
  return output();
}

test('it prints its address in one line, and ends with 1001 and exit code 0 on SIGTERM and SIGINT', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const running = run(t, ['--port', '0']);
    const line = await started(running);
    const [, url] = /^The chat is at (http:\/\/127\.0\.0\.1:\d+\/) .*\n$/.exec(line) ?? [];
    assert.ok(url !== undefined, line);
    assert.equal((await fetch(url)).status, 200);
    const peer = await connect(`${url.replace('http', 'ws')}chat`, { message() {} });
    running.child.kill(signal);
    assert.equal((await peer.closed).code, 1001);
    assert.equal(await running.ended, 0);
    assert.equal(running.errors(), '');
  }
});

test('a second signal ends it at once, though a visitor does not answer the close', async (t) => {
  const running = run(t, ['--port', '0']);
  const [, port = ''] = /:(\d+)\//.exec(await started(running)) ?? [];
  const visitor = createConnection(Number(port), '127.0.0.1');
  t.after(() => visitor.destroy());
  visitor.write(
    `GET /chat HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(visitor, 'data');
  running.child.kill('SIGINT');
  // The close frame, 1001, shows that the first signal was taken.
  let received = Buffer.alloc(0);
  while (!received.includes(Buffer.from([0x88, 0x02, 0x03, 0xe9]))) {
    const [piece]: Buffer[] = await once(visitor, 'data');
    received = Buffer.concat([received, piece ?? Buffer.alloc(0)]);
  }
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 130);
});

test('PORT and HOST from the environment choose the address', async (t) => {
  const running = run(t, [], { PORT: '0', HOST: '0.0.0.0' });
  assert.match(
    await started(running),
    /^The chat is at http:\/\/localhost:\d+\/, on all interfaces /,
  );
});

test('a wrong argument is told on stderr with exit code 2', async (t) => {
  const running = run(t, ['--port', 'eighty']);
  assert.equal(await running.ended, 2);
  assert.match(running.errors(), /^--port takes a port from 0 to 65535, not "eighty"\.\n/);
  assert.equal(running.output(), '');
});

test('a certificate that cannot be read is told on stderr with exit code 2', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aperto-chat-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const running = run(t, [
    '--tls-cert',
    join(folder, 'no.pem'),
    '--tls-key',
    join(folder, 'no.key'),
  ]);
  assert.equal(await running.ended, 2);
  assert.match(running.errors(), /^--tls-cert: .*no\.pem cannot be read \(ENOENT\)\.\n$/);
});

test('--help prints the usage and ends with exit code 0', async (t) => {
  const running = run(t, ['--help']);
  assert.equal(await running.ended, 0);
  assert.match(running.output(), /^Usage: npm start -- /);
});

test('a port in use is told in a sentence, with exit code 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  assert.ok(address !== null && typeof address === 'object');
  const running = run(t, ['--port', String(address.port)]);
  assert.equal(await running.ended, 1);
  assert.equal(
    running.errors(),
    `Port ${address.port} on 127.0.0.1 is in use; choose another with --port.\n`,
  );
});
