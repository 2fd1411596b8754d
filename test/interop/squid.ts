import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

function findIn(folders: readonly string[], name: string): string | undefined {
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

// Servers are where a user's PATH does not look; what they start, beside libraries.
const given = process.env['APERTO_SQUID'] ?? '';
const program =
  given === ''
    ? findIn(
        [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'],
        'squid',
      )
    : given;
const checkPassword = findIn(
  [
    '/usr/lib/squid',
    '/usr/lib64/squid',
    '/usr/libexec/squid',
    ...(program === undefined ? [] : [join(dirname(program), '..', 'libexec', 'squid')]),
  ],
  'basic_ncsa_auth',
);

/** Why there can be no squid; false where there can. */
export const noSquid: string | false =
  program !== undefined && checkPassword !== undefined
    ? false
    : 'squid is not installed (scripts/install-test-tools.sh installs it on Debian)';

/** The only one that gets through, percent-encoded. */
export const credentials = 'user:p%3Ass%20w%40rd';
// What `openssl passwd -apr1` makes of that password.
const passwordFile = 'user:$apr1$aperto0$YCjIfrLQLvl6feIcwWhmL1\n';

const READY_MS = 20_000;

function configuration(folder: string, port: number): string {
  return `
http_port 127.0.0.1:${port}
auth_param basic program ${checkPassword} ${join(folder, 'passwords')}
auth_param basic children 1 startup=1
auth_param basic realm test
acl known proxy_auth REQUIRED
acl here dst 127.0.0.0/8
http_access deny !here
http_access allow known
http_access deny all
cache deny all
cache_mem 1 MB
access_log none
cache_log stdio:/dev/stderr
cache_store_log none
coredump_dir ${folder}
logfile_rotate 0
max_filedescriptors 1024
netdb_filename none
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname localhost
`;
}

/** Starts a squid that wants a password, and lets through only to this machine. Returns its port. */
export async function startSquid(t: TestContext): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-squid-'));
  // Started by root, squid becomes a user of its own.
  chmodSync(folder, 0o755);
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'passwords'), passwordFile);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    await writeFile(join(folder, 'squid.conf'), configuration(folder, port));
    const squid = spawn(program ?? '', ['-N', '-f', join(folder, 'squid.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    squid.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    t.after(() => stop(squid));
    if (await answers(squid, port)) return port;
    await stop(squid);
    // Somebody else may have taken the port meanwhile.
    if (attempt === 3) throw new Error(`squid did not start: ${said.slice(-2000)}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Whether it listens before it ends or time is over. */
async function answers(squid: ChildProcess, port: number): Promise<boolean> {
  const until = performance.now() + READY_MS;
  while (squid.exitCode === null && squid.signalCode === null && performance.now() < until) {
    const socket = connect(port, '127.0.0.1');
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (connected) return true;
    await sleep(20);
  }
  return false;
}

async function stop(squid: ChildProcess): Promise<void> {
  if (squid.exitCode !== null || squid.signalCode !== null) return;
  const ended = once(squid, 'exit');
  squid.kill('SIGTERM');
  const timer = setTimeout(() => squid.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(timer);
}
