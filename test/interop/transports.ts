import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ConnectOptions, type ServeOptions, type Server, serve } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';

export type Transport = 'tcp' | 'tls' | 'unix';
export const transports: readonly Transport[] = ['tcp', 'tls', 'unix'];

async function socketPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'test.sock');
}

/** Our server over a transport. */
export async function ourServer<Data>(
  t: TestContext,
  transport: Transport,
  options: ServeOptions<Data>,
): Promise<Server<Data>> {
  const server = await serve<Data>({
    ...options,
    ...(transport === 'tls' ? { tls: await localCertificate() } : {}),
    ...(transport === 'unix' ? { unix: await socketPath(t) } : {}),
  });
  t.after(() => server.close({ timeoutMs: 200 }));
  return server;
}

/** An HTTP server for theirs, and the address where it listens. */
export async function httpServer(
  t: TestContext,
  transport: Transport,
): Promise<{ http: HttpServer; url: string }> {
  const http = transport === 'tls' ? createTlsServer(await localCertificate()) : createServer();
  const path = transport === 'unix' ? await socketPath(t) : undefined;
  await new Promise<void>((resolve) => {
    if (path === undefined) http.listen(0, '127.0.0.1', resolve);
    else http.listen(path, resolve);
  });
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();
  if (path !== undefined) return { http, url: `ws+unix:${path}` };
  assert.ok(typeof address === 'object' && address !== null);
  const scheme = transport === 'tls' ? 'wss' : 'ws';
  return { http, url: `${scheme}://127.0.0.1:${address.port}` };
}

/** What a client needs to trust the test's certificate. */
export async function trust(transport: Transport): Promise<ConnectOptions> {
  return transport === 'tls' ? { tls: { ca: (await localCertificate()).cert } } : {};
}

/** Messages of every size at which something changes, as text (also not ASCII) and as bytes. */
export function everyMessage(): (string | Buffer)[] {
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_048_576];
  return [
    ...sizes.map((size) => 't'.repeat(size)),
    ...sizes.map((size) => Buffer.alloc(size, size % 251)),
    '\u{1f44b} h\u00e9llo '.repeat(1_000),
  ];
}

/** Whether what came is what was sent, in kind too. */
export function checkSame(came: unknown, sent: string | Buffer): void {
  const name = `${typeof sent === 'string' ? 'text' : 'bytes'} of ${sent.length}`;
  if (typeof sent === 'string') assert.ok(came === sent, name);
  else {
    assert.ok(came instanceof Uint8Array, name);
    assert.ok(sent.equals(came), name);
  }
}
