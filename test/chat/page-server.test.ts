import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import type { ChatServer } from '../../apps/chat/dist/server/chat-server.js';
import { startTestChat, visit } from './chat-visitor.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A request whose path is sent exactly as given. */
function ask(
  chat: ChatServer,
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(chat.url);
    const sent = request({ host, port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        body += piece;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('the page and everything that it names is served, with its type', async (t) => {
  const chat = await startTestChat(t);
  const page = await ask(chat, '/');
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  const named = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? '');
  assert.ok(named.includes('/main.js') && named.includes('/style.css'));
  const types: Record<string, string> = {
    js: 'text/javascript; charset=utf-8',
    css: 'text/css; charset=utf-8',
    svg: 'image/svg+xml',
  };
  for (const path of named) {
    const answer = await ask(chat, path);
    assert.equal(answer.status, 200, path);
    assert.equal(answer.headers['content-type'], types[path.replace(/^.*\./, '')], path);
    assert.equal(Number(answer.headers['content-length']), Buffer.byteLength(answer.body));
    // What it imported would not be there.
    if (path.endsWith('.js')) assert.doesNotMatch(answer.body, /\bimport\b/, path);
  }
});

test('the page is small: under 40 KiB with all that it loads', async (t) => {
  const chat = await startTestChat(t);
  const page = await ask(chat, '/');
  const named = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? '');
  let bytes = Buffer.byteLength(page.body);
  for (const path of new Set(named)) bytes += Buffer.byteLength((await ask(chat, path)).body);
  assert.ok(bytes < 40 * 1024, `${bytes} bytes`);
});

test('every answer forbids what the page does not need', async (t) => {
  const chat = await startTestChat(t);
  for (const path of ['/', '/main.js', '/nothing', '/chat']) {
    const { headers } = await ask(chat, path);
    const policy = String(headers['content-security-policy']).split('; ').sort();
    assert.deepEqual(policy, [
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src 'self' data:",
      "script-src 'self'",
      "style-src 'self'",
    ]);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
  }
});

test('the page has no script, style or handler of its own: the policy would forbid it', async (t) => {
  const { body } = await ask(await startTestChat(t), '/');
  assert.doesNotMatch(body, /<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=/);
});

test('what a browser has is not sent again', async (t) => {
  const chat = await startTestChat(t);
  const first = await ask(chat, '/style.css');
  const etag = String(first.headers['etag']);
  assert.match(etag, /^"[\w-]+"$/);
  assert.equal(first.headers['cache-control'], 'no-cache');
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await ask(chat, '/style.css', 'GET', { 'If-None-Match': tag });
    assert.deepEqual([again.status, again.body], [304, ''], tag);
    assert.equal(again.headers['etag'], etag);
  }
  const changed = await ask(chat, '/style.css', 'GET', { 'If-None-Match': '"other"' });
  assert.equal(changed.status, 200);
});

test('HEAD is answered as GET is, without the body', async (t) => {
  const chat = await startTestChat(t);
  const get = await ask(chat, '/?room=kitchen');
  const head = await ask(chat, '/?room=kitchen', 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  assert.equal(head.headers['content-length'], get.headers['content-length']);
});

test('other methods are answered with 405 and the methods that are not', async (t) => {
  const chat = await startTestChat(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const answer = await ask(chat, '/', method);
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers['allow'], 'GET, HEAD');
  }
});

test('no path leads out of the table', async (t) => {
  const chat = await startTestChat(t);
  const paths = [
    '/index.html',
    '/main.ts',
    '/view.js',
    '/main.js/',
    '//main.js',
    '/./main.js',
    '/%6dain.js',
  ];
  paths.push(
    '/../server/main.js',
    '/..%2fpackage.json',
    '/%2e%2e/package.json',
    '/..\\package.json',
  );
  paths.push('/__proto__', '/constructor', '/chat/', '/chat/x', '*');
  for (const path of paths) assert.equal((await ask(chat, path)).status, 404, path);
});

test('GET /chat without an upgrade is answered with 426 and what to upgrade to', async (t) => {
  const answer = await ask(await startTestChat(t), '/chat?room=x');
  assert.equal(answer.status, 426);
  assert.equal(answer.headers['upgrade'], 'websocket');
});

async function isRefused(visited: Promise<unknown>): Promise<boolean> {
  return visited.then(
    () => false,
    (error: unknown) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /403/);
      return true;
    },
  );
}

test('pages of other origins may not connect', async (t) => {
  const chat = await startTestChat(t);
  const from = (Origin: string) => visit(t, chat, { headers: { Origin } });
  assert.equal(await isRefused(from('http://evil.example')), true);
  assert.equal(await isRefused(from('null')), true);
  assert.equal(await isRefused(from(new URL(chat.url).origin)), false);
});

test('pages of listed origins may, besides the own', async (t) => {
  const chat = await startTestChat(t, { origins: ['https://a.example'] });
  const from = (Origin: string) => visit(t, chat, { headers: { Origin } });
  assert.equal(await isRefused(from('https://a.example')), false);
  assert.equal(await isRefused(from(new URL(chat.url).origin)), false);
  assert.equal(await isRefused(from('https://b.example')), true);
  assert.equal(await isRefused(visit(t, chat)), false);
});
