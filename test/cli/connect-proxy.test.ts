import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { certificateFor, localCertificate } from '../faults/certificate.ts';
import { startProxy } from '../node/client/connect-proxy.ts';
import { startRecorder } from '../node/client/servers.ts';
import { run } from './command.ts';

const say = ['--execute', 'hello', '--wait', '0.3'];

/** Writes files, and returns their paths. */
async function files(t: TestContext, ...texts: readonly string[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const paths = texts.map((_, index) => join(folder, `${index}.pem`));
  await Promise.all(paths.map((path, index) => writeFile(path, texts[index] ?? '')));
  return paths;
}

async function checkEcho(args: readonly string[]): Promise<void> {
  const { stdout, stderr, child } = await run(['connect', ...args, ...say]);
  assert.deepEqual([stdout, stderr, child.exitCode], ['hello\n', '', 0]);
}

async function checkFails(args: readonly string[], says: RegExp): Promise<void> {
  const { stdout, stderr, child } = await run(['connect', ...args, ...say]);
  assert.match(stderr, says);
  assert.doesNotMatch(stderr, /s3cret|\n\s+at /);
  assert.deepEqual([stdout, child.exitCode], ['', 1]);
}

describe('aperto connect', { concurrency: 2 }, () => {
  test('goes through a proxy', async (t) => {
    const { cert, key } = await localCertificate();
    const { port } = await startRecorder(t);
    const url = `ws://127.0.0.1:${port}/echo`;
    const proxy = await startProxy(t, { tls: { cert, key }, credentials: 'user:password' });
    const [ca = ''] = await files(t, cert);
    const proxyUrl = proxy.url('user:password');
    await checkEcho([url, '--proxy', proxyUrl, '--ca', ca]);
    await checkEcho([url, '--proxy', proxyUrl, '--no-check']);
    assert.equal(proxy.requests.length, 2);
    await checkFails([url, '--proxy', proxyUrl], /the proxy 127\.0\.0\.1:\d+: self-signed/);
    const wrong = ['--proxy', proxy.url('user:s3cret'), '--ca', ca];
    await checkFails([url, ...wrong], /status 407[\s\S]*who are you\?/);
  });

  test('goes through the proxy of the environment', async (t) => {
    const { port } = await startRecorder(t);
    const url = `ws://127.0.0.1:${port}/echo`;
    const proxy = await startProxy(t);
    process.env['ws_proxy'] = proxy.url();
    t.after(() => delete process.env['ws_proxy']);
    await checkEcho([url]);
    assert.equal(proxy.requests.length, 0);
    await checkEcho([url, '--proxy', 'environment']);
    assert.equal(proxy.requests.length, 1);
  });

  test('follows redirects where it is told to', async (t) => {
    const { port } = await startRecorder(t, { redirect: () => '/echo' });
    const url = `ws://127.0.0.1:${port}/`;
    await checkEcho([url, '--redirects', '1']);
    await checkFails([url], /status 302/);
  });

  test("presents the client's certificate", async (t) => {
    const { cert, key } = await localCertificate();
    const client = await certificateFor('client.example');
    const [ca = '', clientCert = '', clientKey = ''] = await files(
      t,
      cert,
      client.cert,
      client.key,
    );
    const tls = { cert, key, ca: client.cert, requestCert: true, rejectUnauthorized: true };
    const { port } = await startRecorder(t, { tls });
    const url = `wss://127.0.0.1:${port}/echo`;
    await checkEcho([url, '--ca', ca, '--cert', clientCert, '--key', clientKey]);
    await checkFails([url, '--ca', ca], /certificate required|ECONNRESET|hang up/);
  });
});
