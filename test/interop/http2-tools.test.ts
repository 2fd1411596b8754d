import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect, type ServeOptions, type Server, serve } from '../../dist/index.js';
import { Command } from '../cli/command.ts';
import { localCertificate } from '../faults/certificate.ts';
import { ACCEPT } from '../faults/raw-client.ts';
import { CLOSE, closeCodeOf, readFrame, TEXT } from '../faults/raw-frames.ts';
import { Head, within } from '../faults/raw-socket.ts';
import { findProgram, skipWithout } from '../installed-program.ts';
import { adapted, documentedBlock } from './documented-configuration.ts';

const curl = findProgram('curl', 'APERTO_CURL');
const nghttp = findProgram('nghttp', 'APERTO_NGHTTP');

/** Any program. */
class Program extends Command {
  protected override commandLine(args: readonly string[]): readonly string[] {
    return args;
  }
}

async function outputOf(program: string | undefined, args: readonly string[]): Promise<string> {
  const run = new Program(program ?? '', ...args);
  const code = await within(`the end of ${program}`, run.end());
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
}

interface Page {
  readonly version: string;
  readonly head: Head;
  readonly body: string;
}

let folder: string;
let certFile: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aperto-tools-'));
  certFile = join(folder, 'cert.pem');
  const { cert, key } = await localCertificate();
  await writeFile(certFile, cert);
  await writeFile(join(folder, 'key.pem'), key);
});
after(() => rm(folder, { recursive: true, force: true }));

/** What curl gets, and what it says that it got it by. */
async function get(url: string, ...args: readonly string[]): Promise<Page> {
  const [head, body] = [join(folder, 'head'), join(folder, 'body')];
  const version = await outputOf(curl, [
    // No options of this user, no proxy of this machine.
    ...['--disable', '--noproxy', '*', '--silent', '--show-error', '--cacert', certFile],
    ...['--dump-header', head, '--output', body, '--write-out', '%{http_version} %{response_code}'],
    ...args,
    url,
  ]);
  // Others before it say only that there will be one.
  const last = (await readFile(head, 'latin1')).split('\r\n\r\n').at(-2) ?? '';
  return { version, head: new Head(last), body: await readFile(body, 'latin1') };
}

for (const tls of [false, true]) {
  const name = tls ? 'over TLS' : 'in cleartext';
  const scheme = tls ? 'https' : 'http';

  async function starting(
    t: TestContext,
    options: Partial<ServeOptions<undefined>> = {},
  ): Promise<Server> {
    const server = await serve({
      ...(tls ? { tls: await localCertificate() } : { http2: true }),
      onError: (error) => assert.fail(String(error)),
      routes: {
        '/live': {
          open(peer) {
            peer.send('hello');
            peer.close(4000, 'enough');
          },
        },
      },
      ...options,
    });
    t.after(() => server.close({ timeoutMs: 0 }));
    return server;
  }

  /** Nothing that a tool has left keeps the server. */
  async function ending(server: Server): Promise<void> {
    await within('the end of the server', server.close({ timeoutMs: 60_000 }));
  }

  const pages: ServeOptions<undefined>['request'] = async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    response.end(`${request.method} ${request.url} ${request.httpVersion}\n${parts.join('')}`);
  };

  describe(`curl ${name}`, { skip: skipWithout('curl', curl) }, () => {
    const versions: readonly (readonly [option: string, version: string])[] = [
      // In cleartext that is Upgrade: h2c, which RFC 9113 has no more; it is ignored.
      ['--http2', tls ? '2' : '1.1'],
      ['--http2-prior-knowledge', '2'],
      ['--http1.1', '1.1'],
    ];
    for (const [option, version] of versions) {
      const served = version === '2' ? '2.0' : version;

      test(`${option}: pages`, async (t) => {
        const server = await starting(t, { request: pages });
        const url = `${scheme}://127.0.0.1:${server.port}/page`;
        const page = await get(url, option);
        assert.equal(page.version, `${version} 200`);
        assert.equal(page.body, `GET /page ${served}\n`);
        await ending(server);
      });

      test(`${option}: what is sent and got with a page`, async (t) => {
        const server = await starting(t, { request: pages });
        const file = join(folder, 'sent');
        const sent = 'sent '.repeat(200_000);
        await writeFile(file, sent);
        const url = `${scheme}://127.0.0.1:${server.port}/page`;
        const page = await get(url, option, '--data-binary', `@${file}`);
        if (option === '--http2' && !tls) {
          // Node reads no body of what asks for an upgrade, so that it cannot be answered as a page.
          assert.equal(page.version, '1.1 426');
        } else {
          assert.equal(page.version, `${version} 200`);
          assert.ok(page.body === `POST /page ${served}\n${sent}`);
        }
        await ending(server);
      });

      test(`${option}: a route is no page`, async (t) => {
        const server = await starting(t);
        const url = `${scheme}://127.0.0.1:${server.port}`;
        const { version: got, head } = await get(`${url}/live`, option);
        if (version === '2') {
          // RFC 9113 8.6: HTTP/2 has no Upgrade that it could ask for.
          assert.equal(got, '2 405');
          assert.equal(head.get('allow'), 'CONNECT');
        } else {
          assert.equal(got, '1.1 426');
          assert.equal(head.get('upgrade'), 'websocket');
        }
        assert.equal((await get(`${url}/nowhere`, option)).version, `${version} 404`);
        await ending(server);
      });
    }

    test('a WebSocket over HTTP/1.1', async (t) => {
      // curl never answers the close frame.
      const server = await starting(t, { limits: { closeTimeoutMs: 50 } });
      const fields = [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        // RFC 6455 1.3's example.
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ];
      const { version, head, body } = await get(
        `${scheme}://127.0.0.1:${server.port}/live`,
        '--http1.1',
        ...fields.flatMap((field) => ['--header', field]),
      );
      assert.equal(version, '1.1 101');
      assert.equal(head.get('sec-websocket-accept'), ACCEPT);
      const bytes = Buffer.from(body, 'latin1');
      const hello = readFrame(bytes);
      assert.ok(hello !== undefined);
      assert.deepEqual([hello.first, hello.payload.toString()], [TEXT, 'hello']);
      const close = readFrame(bytes.subarray(hello.size));
      assert.ok(close !== undefined);
      assert.deepEqual([close.first, closeCodeOf(close.payload)], [CLOSE, 4000]);
      await ending(server);
    });
  });

  describe(`nghttp ${name}`, { skip: skipWithout('nghttp', nghttp) }, () => {
    test('settings, and a page', async (t) => {
      const server = await starting(t, { request: pages, limits: { maxStreams: 77 } });
      const url = `${scheme}://127.0.0.1:${server.port}/page`;
      const seen = await outputOf(nghttp, ['--null-out', '--verbose', url]);
      assert.equal(seen.includes('The negotiated protocol: h2\n'), tls);
      const [, settings = ''] = /recv SETTINGS frame <[^>]*>\n((?: {10}.*\n)+)/.exec(seen) ?? [];
      assert.match(settings, /\[SETTINGS_MAX_CONCURRENT_STREAMS\(0x03\):77\]/);
      // Not every version knows the name of it.
      assert.match(settings, /\[\w+\(0x08\):1\]/);
      assert.match(seen, /recv \(stream_id=\d+\) :status: 200\n/);
      assert.equal(await outputOf(nghttp, [url]), 'GET /page 2.0\n');
      await ending(server);
    });

    test('many streams over one connection', async (t) => {
      const server = await starting(t, { request: pages });
      const url = `${scheme}://127.0.0.1:${server.port}/page`;
      const seen = await outputOf(nghttp, ['--null-out', '--verbose', '--multiply=100', url]);
      assert.equal(seen.match(/ :status: 200\n/g)?.length, 100);
      assert.doesNotMatch(seen, /recv (?:RST_STREAM|GOAWAY)/);
      await ending(server);
    });

    test('a route is no page', async (t) => {
      const server = await starting(t);
      const url = `${scheme}://127.0.0.1:${server.port}/live`;
      const seen = await outputOf(nghttp, ['--null-out', '--verbose', url]);
      assert.match(seen, / :status: 405\n/);
      assert.match(seen, / allow: CONNECT\n/);
      await ending(server);
    });
  });
}

test('the documented server: curl and WebSockets over HTTP/2', {
  skip: skipWithout('curl', curl),
}, async (t) => {
  // Below build/, where the name of the package leads to the built one.
  const here = await mkdtemp(fileURLToPath(new URL('documented-', import.meta.url)));
  t.after(() => rm(here, { recursive: true, force: true }));
  const file = join(here, 'server.mjs');
  const code = adapted(documentedBlock('deploy/http2.md', 'Aperto alone', 'ts'), {
    '0.0.0.0': '127.0.0.1',
    '443': '0',
    '/etc/aperto/cert.pem': certFile,
    '/etc/aperto/key.pem': join(folder, 'key.pem'),
  });
  await writeFile(file, code);
  const program = new Program(process.execPath, file);
  t.after(() => program.signal('SIGKILL'));
  const [, url = ''] = await within('the server', program.printed(/^(wss:.*)\n/));
  const page = await get(`${url.replace('wss:', 'https:')}/page`);
  assert.deepEqual([page.version, page.body], ['2 200', 'over HTTP/2.0\n']);
  const { cert } = await localCertificate();
  const peer = await connect(url, { http2: true, tls: { ca: cert } });
  t.after(() => peer.terminate());
  assert.equal(peer.transport, 'h2');
  peer.send('hello');
  for await (const message of peer) {
    assert.equal(message, 'hello');
    break;
  }
});
