import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../dist/index.js';
import { ChatProcess } from './chat-process.ts';
import { eventually } from './page-client.ts';

test('it prints its address in one line, and ends on SIGTERM with 1012, on SIGINT with 1001, and exit code 0', async (t) => {
  for (const [signal, code] of [
    ['SIGTERM', 1012],
    ['SIGINT', 1001],
  ] as const) {
    const running = ChatProcess.run(t, ['--port', '0']);
    const line = await running.greeting();
    const [, url] = /^The chat is at (http:\/\/127\.0\.0\.1:\d+\/) .*\n$/.exec(line) ?? [];
    assert.ok(url !== undefined, line);
    assert.equal((await fetch(url)).status, 200);
    const peer = await connect(`${url.replace('http', 'ws')}chat`, { message() {} });
    running.child.kill(signal);
    assert.equal((await peer.closed).code, code);
    assert.equal(await running.ended, 0);
    assert.equal(running.errors, '');
  }
});

test('92: readiness fails first: during the notice who is there is served, and who comes is too', async (t) => {
  const running = ChatProcess.run(t, ['--port', '0', '--notice', '3']);
  const url = await running.url();
  const ask = async (path: string) => (await fetch(`${url}${path}`)).status;
  const chat = `${url.replace('http', 'ws')}chat`;
  assert.deepEqual([await ask('ready'), await ask('health')], [200, 200]);
  const peer = await connect(chat, { message() {} });
  let isClosed = false;
  void peer.closed.then(() => {
    isClosed = true;
  });
  running.child.kill('SIGTERM');
  let ready = 200;
  // Until the signal has arrived.
  while (ready === 200) ready = await ask('ready');
  assert.deepEqual([ready, isClosed], [503, false]);
  await connect(chat, { message() {} });
  assert.equal((await peer.closed).code, 1012);
  assert.equal(await running.ended, 0);
});

test('a second signal ends it at once, though a visitor does not answer the close', async (t) => {
  const running = ChatProcess.run(t, ['--port', '0']);
  const [, port = ''] = /:(\d+)\//.exec(await running.greeting()) ?? [];
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
  const running = ChatProcess.run(t, [], { PORT: '0', HOST: '0.0.0.0' });
  assert.match(
    await running.greeting(),
    /^The chat is at http:\/\/localhost:\d+\/, on all interfaces /,
  );
});

test('a wrong argument is told on stderr with exit code 2', async (t) => {
  const running = ChatProcess.run(t, ['--port', 'eighty']);
  assert.equal(await running.ended, 2);
  assert.match(running.errors, /^--port takes a port from 0 to 65535, not "eighty"\.\n/);
  assert.equal(running.output, '');
});

test('a certificate that cannot be read is told on stderr with exit code 2', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aperto-chat-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const running = ChatProcess.run(t, [
    '--tls-cert',
    join(folder, 'no.pem'),
    '--tls-key',
    join(folder, 'no.key'),
  ]);
  assert.equal(await running.ended, 2);
  assert.match(running.errors, /^--tls-cert: .*no\.pem cannot be read \(ENOENT\)\.\n$/);
});

test('--help prints the usage and ends with exit code 0', async (t) => {
  const running = ChatProcess.run(t, ['--help']);
  assert.equal(await running.ended, 0);
  assert.match(running.output, /^Usage: npm start -- /);
});

test('a port in use is told in a sentence, with exit code 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  assert.ok(address !== null && typeof address === 'object');
  const running = ChatProcess.run(t, ['--port', String(address.port)]);
  assert.equal(await running.ended, 1);
  assert.equal(
    running.errors,
    `Port ${address.port} on 127.0.0.1 is in use; choose another with --port.\n`,
  );
});

test('workers without an engine: one process runs, and says why', async (t) => {
  const running = ChatProcess.run(t, ['--port', '0', '--workers', '3']);
  await running.greeting();
  assert.equal(
    running.errors,
    'Workers share their rooms over an engine: without --redis or --nats, one process runs.\n',
  );
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 0);
});

test('workers that cannot listen end with the sentence of one, and exit code 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  assert.ok(address !== null && typeof address === 'object');
  const port = String(address.port);
  // Nothing listens at port 9 of this machine: an engine that is away must not hide what is wrong with the port.
  const args = ['--workers', '2', '--redis', 'redis://127.0.0.1:9', '--port', port];
  const running = ChatProcess.run(t, args);
  assert.equal(await running.ended, 1);
  const inUse = `Port ${port} on 127.0.0.1 is in use; choose another with --port.\n`;
  assert.equal(running.errors.split(inUse).length, 2, running.errors);
});

test('workers end at once on a second signal', async (t) => {
  const args = [
    '--workers',
    '2',
    '--redis',
    'redis://127.0.0.1:9',
    '--port',
    '0',
    '--notice',
    '60',
  ];
  const running = ChatProcess.run(t, args);
  await running.greeting();
  const workers = running.workers();
  assert.equal(workers.length, 2);
  running.child.kill('SIGTERM');
  running.child.kill('SIGINT');
  assert.ok([130, 143].includes((await running.ended) ?? 0));
  await eventually(
    () => !workers.some(isAlive),
    () => `${workers} go on`,
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
