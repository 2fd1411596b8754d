/** WebSocketStream in browsers: Chromium's own beside the specification, and ours over their WebSocket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ConformanceServer } from '../web/conformance-server.ts';
import type { Seen } from '../web/stream-case.ts';
import { streamCases } from '../web/stream-cases.ts';
import type { Browser, BrowserKind } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';

const library = new URL('../../dist/', import.meta.url);

/** Where a case saw something else than the specification has, what that was, and why. */
type Differences = Readonly<Record<string, { readonly seen: Seen; readonly why: string }>>;

const invalidAccess = 'DOMException InvalidAccessError';
const syntax = 'DOMException SyntaxError';

/** Of Chromium 156; a later one may have some no more. */
const ofChromium: Differences = {
  'a WebSocketError of what is not legal': {
    seen: [
      ...Array(5).fill(invalidAccess),
      ...[syntax, syntax],
      ...[invalidAccess, invalidAccess, invalidAccess],
      ...['TypeError', 'TypeError'],
    ],
    why: 'a code that is no unsigned short is an InvalidAccessError, as one that is not legal, and no TypeError',
  },
  'close of what is not legal throws, and closes nothing': {
    seen: [
      'TypeError',
      ...[invalidAccess, invalidAccess, invalidAccess, invalidAccess],
      ...[syntax, 'still open'],
    ],
    why: 'the same for close',
  },
  'the URL is serialized, with ws for http': {
    seen: ['', ''],
    why: 'with a signal that is aborted there is no URL',
  },
  'a signal that is aborted already rejects both with its reason': {
    seen: ['DOMException AbortError', 'DOMException AbortError'],
    why: "an error of its own in place of the signal's reason",
  },
  'an abort during the handshake rejects both with its reason': {
    seen: ['DOMException AbortError', 'DOMException AbortError'],
    why: "an error of its own in place of the signal's reason; a close after that crashes the page",
  },
  'text and binary are read': {
    seen: ['text', '', 'a [object ArrayBuffer]', 'a [object ArrayBuffer]'],
    why: 'binary messages are ArrayBuffers, Uint8Arrays only behind a flag',
  },
  'closing the writer fails where the connection is lost': {
    seen: ['WebSocketError', null, ''],
    why: "the writer's close rejects with an error of its own, without the code",
  },
  'a reason with a code that only a connection has is left out': {
    seen: 'waited in vain',
    why: 'the connection is not closed then',
  },
  'a writer can be aborted while a write waits': {
    seen: ['undefined', 'undefined', { closeCode: 1005, reason: '' }],
    why: 'an abort waits until the network has taken the write, as the specification has it; ours does not',
  },
  'a write after close is refused, and spoils nothing': {
    seen: ['undefined', { closeCode: 4000, reason: '' }, ['88 0fa0']],
    why: 'such a write settles as if it were sent, as the specification has it; ours rejects',
  },
};

/** Serves the built library to pages of the conformance server. */
async function serveLibrary(): Promise<Server> {
  const server = createServer(async ({ url = '' }, response) => {
    const isModule = /^\/(web|protocol)\/[\w/-]+\.js$/.test(url);
    const source = isModule ? await readFile(new URL(`.${url}`, library), 'utf8') : undefined;
    response.writeHead(source === undefined ? 404 : 200, {
      'Content-Type': 'text/javascript',
      'Access-Control-Allow-Origin': '*',
    });
    response.end(source);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function compare(t: TestContext, seen: Readonly<Record<string, Seen>>, known: Differences): void {
  for (const { name, expected } of streamCases) {
    const one = seen[name];
    if (isDeepStrictEqual(one, expected)) continue;
    const difference = known[name];
    assert.deepEqual(one, difference?.seen ?? expected, name);
    t.diagnostic(`${name}: ${difference?.why}`);
  }
}

for (const kind of [chromium, firefox] satisfies BrowserKind[]) {
  describe(kind.name, { skip: kind.skip }, () => {
    let browser: Browser;
    let cases: ConformanceServer;
    let library: Server;

    before(async () => {
      [browser, cases, library] = await Promise.all([
        kind.launch(),
        ConformanceServer.start(),
        serveLibrary(),
      ]);
    });

    after(async () => {
      await browser[Symbol.asyncDispose]();
      await cases[Symbol.asyncDispose]();
      library.close();
    });

    async function observe(classes: string): Promise<Record<string, Seen>> {
      const server = `http://${cases.host}`;
      const window = await browser.open();
      await window.goto(`${server}/`);
      const seen = await window.evaluate(`(async () => {
        const { observe } = await import('/modules/stream-cases.js');
        return JSON.stringify(await observe({ ...(${classes}), server: '${server}' }));
      })()`);
      return JSON.parse(String(seen));
    }

    test('ours', async (t) => {
      // It listens on TCP.
      const { port } = library.address() as AddressInfo;
      const from = (file: string): string =>
        `await import('http://127.0.0.1:${port}/web/${file}.js')`;
      const seen = await observe(`{
        WebSocketStream: (${from('websocket-stream')}).defineWebSocketStream((${from('browser-link')}).browserDial),
        WebSocketError: (${from('websocket-error')}).WebSocketError,
      }`);
      compare(t, seen, {});
    });

    if (kind !== chromium) return;
    test("the browser's own", async (t) => {
      compare(t, await observe('{ WebSocketStream, WebSocketError }'), ofChromium);
    });
  });
}
