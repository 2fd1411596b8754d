import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { defaultLimits } from '../dist/index.js';
import { codeOf, compile, read, root } from './documented-code.ts';

const folder = join(root, 'build', 'documents');

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'docs/README.md',
  'docs/guide.md',
  'docs/limits.md',
  'docs/runtimes.md',
  'docs/reliability.md',
  'docs/observability.md',
  'docs/security.md',
  'docs/authentication.md',
  'docs/decisions.md',
  'docs/errors.md',
  'docs/chat-protocols.md',
  'docs/command-line.md',
  'docs/scaling.md',
  'docs/deploy/README.md',
  'docs/deploy/apache.md',
  'docs/deploy/caddy.md',
  'docs/deploy/haproxy.md',
  'docs/deploy/http2.md',
  'docs/deploy/nginx.md',
  'docs/deploy/squid.md',
  'docs/websocket-differences.md',
  'docs/ws-disagreements.md',
];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** Runs a file, and says line by line what it prints. */
function run(name: string): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [join(folder, name)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

describe('the code in the documents', () => {
  let port: number;

  before(async () => {
    port = await freePort();
    const [server = '', client = '', page = '', ...rest] = codeOf('README.md');
    assert.match(server, /^\/\/ server\.ts\n/);
    assert.match(client, /^\/\/ client\.ts\n/);
    assert.match(page, /^\/\/ page\.ts\n/);
    assert.deepEqual(rest, []);
    const guide = codeOf('docs/guide.md');
    assert.ok(guide.length >= 7);
    const scaling = codeOf('docs/scaling.md');
    assert.ok(scaling.length >= 7);
    const here = (code: string): string => code.replaceAll('8080', String(port));
    await compile(folder, {
      'server.ts': here(server),
      'client.ts': here(client),
      'page.ts': here(page),
      ...Object.fromEntries(guide.map((code, index) => [`guide-${index}.ts`, code])),
      ...Object.fromEntries(
        codeOf('docs/observability.md').map((code, index) => [`observability-${index}.ts`, code]),
      ),
      ...Object.fromEntries(scaling.map((code, index) => [`scaling-${index}.ts`, code])),
      'deploy-http2.ts': codeOf('docs/deploy/http2.md').join(''),
    });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("the README's server, client and page talk to each other", async () => {
    const server = run('server.js');
    const clients: ChildProcess[] = [];
    try {
      const greeting = await server.lines.next();
      assert.equal(greeting.value, `listening at ws://127.0.0.1:${port}`);
      const client = run('client.js');
      clients.push(client.child);
      assert.equal((await client.lines.next()).value, 'ada: Hello');
      const page = run('page.js');
      clients.push(page.child);
      assert.equal((await page.lines.next()).value, 'connected');
      assert.equal((await page.lines.next()).value, 'bob: Hello');
    } finally {
      for (const child of [...clients, server.child]) {
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
    }
  });
});

test('the README gives two commands, and there is what they run', () => {
  const commands = [...read('README.md').matchAll(/^npm .*$/gm)].map(([line]) => line);
  assert.deepEqual(commands.slice(0, 2), ['npm ci && npm start', 'npm ci && npm test']);
  const { scripts } = JSON.parse(read('package.json'));
  for (const line of [...commands, ...read('CONTRIBUTING.md').matchAll(/npm run [\w-]+/g)]) {
    const name = /npm (?:run )?([\w-]+)$/.exec(String(line))?.[1] ?? '';
    assert.ok(name in scripts, `there is no script ${name}`);
  }
});

test('npm start serves the chat and prints its address', async () => {
  const npm = spawn('npm', ['start', '--', '--port', '0'], {
    cwd: root,
    // A group of its own: npm's children end with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(npm, 'exit');
  try {
    let address: string | undefined;
    for await (const line of createInterface(npm.stdout)) {
      address = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)?.[0];
      if (address !== undefined) break;
    }
    assert.ok(address !== undefined);
    const response = await fetch(address);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /<title>Aperto chat<\/title>/);
  } finally {
    if (npm.pid !== undefined && npm.exitCode === null) process.kill(-npm.pid, 'SIGTERM');
    await exited;
  }
});

for (const page of pages) {
  test(`what ${page} links to is there`, () => {
    const text = read(page);
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', heading] = target.split('#');
      const file = path === '' ? join(root, page) : join(root, dirname(page), path);
      assert.ok(existsSync(file), `${target} is not there`);
      if (heading === undefined) continue;
      const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(
        ([, title = '']) =>
          title
            .toLowerCase()
            .replaceAll(/[^\w -]/g, '')
            .replaceAll(' ', '-'),
      );
      assert.ok(headings.includes(heading), `${target} has no such heading`);
    }
  });
}

for (const page of ['docs/guide.md', 'docs/limits.md']) {
  test(`${page} has every limit with its default`, () => {
    const rows = [...read(page).matchAll(/^\| `(\w+)` \| ([\d,]+|Infinity) \|/gm)];
    const documented = rows.map(([, name = '', value = '']) => [
      name,
      Number(value.replaceAll(',', '')),
    ]);
    assert.equal(documented.length, Object.keys(defaultLimits).length, 'each once');
    assert.deepEqual(Object.fromEntries(documented), defaultLimits);
  });
}

test('docs/limits.md names a test for each row, and that mentions the limit', () => {
  for (const [row, name = ''] of read('docs/limits.md').matchAll(/^\| `(\w+)` .*$/gm)) {
    const tests = [...row.matchAll(/\]\(\.\.\/(test\/[^)]+)\)/g)].map(([, path = '']) => path);
    assert.ok(tests.length > 0, `no test for ${name}`);
    const mention = tests.filter((path) => read(path).includes(name));
    assert.ok(mention.length > 0, `none of ${tests.join(', ')} mentions ${name}`);
  }
});
