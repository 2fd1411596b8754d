import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import {
  RejectUpgrade,
  type Route,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromiumWithThirdPartyCookies as chromium } from './chromium.ts';
import { firefox } from './firefox.ts';

/** A page with nothing on it; what it does, the tests tell it. */
const page =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>page</title>';

/** Browsers take each name below localhost for this host, and each `x.localhost` for a site of its own. */
const victim = 'victim.localhost';
const foreign = 'evil.localhost';
const subdomain = 'blog.victim.localhost';

/** What a socket of the page at hand came to: the first message, or that it was closed before. */
const attempt = (url: string): string => `new Promise((resolve) => {
  const socket = new WebSocket(${JSON.stringify(url)});
  socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
  socket.onclose = () => resolve('closed before a message');
})`;
const refused = 'closed before a message';

/** The same in a frame that may run scripts and is of no origin. */
const attemptInSandbox = (url: string): string => `new Promise((resolve) => {
  addEventListener('message', ({ data }) => resolve(data), { once: true });
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.srcdoc = ${JSON.stringify(
    `<script>${attempt(url)}.then((outcome) => parent.postMessage(outcome, '*'))</script>`,
  ).replaceAll('</', '<\\/')};
  document.body.append(frame);
})`;

/** An application that knows people by their cookie, and what of its code has run. */
class Victim {
  readonly #server: Server;
  readonly #ran: string[];

  private constructor(server: Server, ran: string[]) {
    this.#server = server;
    this.#ran = ran;
  }

  static async start(sameSite: string, route: Partial<Route<undefined>>): Promise<Victim> {
    const ran: string[] = [];
    const options: ServeOptions<undefined> = {
      tls: await localCertificate(),
      request(_, response) {
        response.setHeader('Set-Cookie', `session=ada; Path=/; Secure; HttpOnly; ${sameSite}`);
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(page);
      },
      routes: {
        '/socket': {
          upgrade({ headers }) {
            ran.push('upgrade');
            if (!/\bsession=ada\b/.test(headers.cookie ?? '')) throw new RejectUpgrade(401);
            return undefined;
          },
          open(peer) {
            ran.push('open');
            peer.send('Welcome, ada');
          },
          ...route,
        },
      },
    };
    return new Victim(await serve(options), ran);
  }

  /** What has run since this was asked last. */
  ran(): string[] {
    return this.#ran.splice(0);
  }

  get page(): string {
    return `https://${victim}:${this.#server.port}/`;
  }

  get socket(): string {
    return `wss://${victim}:${this.#server.port}/socket`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close({ timeoutMs: 0 });
  }
}

function servePage(port: number, tls?: { cert: string; key: string }): Promise<Server> {
  return serve({
    port,
    ...(tls === undefined ? {} : { tls }),
    request: (_, response) =>
      void response.writeHead(200, { 'Content-Type': 'text/html' }).end(page),
    routes: {},
  });
}

for (const kind of [chromium, firefox]) {
  describe(`cross-site hijacking with ${kind.name}`, { skip: kind.skip }, () => {
    let browser: Browser;
    let pages: Server;

    before(async () => {
      pages = await servePage(0, await localCertificate());
      browser = await kind.launch();
    });
    after(async () => {
      await browser?.[Symbol.asyncDispose]();
      await pages?.close();
    });
    afterEach(() => browser.closeWindows());

    /** A page of another site, in the browser of somebody who has signed in. */
    async function visit(site: Victim, host: string): Promise<BrowserWindow> {
      const window = await browser.open();
      await window.goto(site.page);
      assert.equal(await window.evaluate(attempt(site.socket)), 'Welcome, ada');
      site.ran();
      await window.goto(`https://${host}:${pages.port}/`);
      return window;
    }

    test('a foreign page is refused before any code of the application runs', async () => {
      await using site = await Victim.start('SameSite=None', {});
      const window = await visit(site, foreign);
      assert.equal(await window.evaluate(attempt(site.socket)), refused);
      assert.deepEqual(site.ran(), []);
    });

    // Firefox keeps the cookies of other sites apart, and has none to send.
    if (kind === chromium) {
      test('where every origin may connect, it comes in as the one who has signed in', async () => {
        await using site = await Victim.start('SameSite=None', { origins: '*' });
        const window = await visit(site, foreign);
        assert.equal(await window.evaluate(attempt(site.socket)), 'Welcome, ada');
        assert.deepEqual(site.ran(), ['upgrade', 'open']);
      });
    }

    test('where every origin may connect, SameSite keeps the cookie back', async () => {
      for (const sameSite of ['SameSite=Strict', 'SameSite=Lax']) {
        await using site = await Victim.start(sameSite, { origins: '*' });
        const window = await visit(site, foreign);
        assert.equal(await window.evaluate(attempt(site.socket)), refused);
        assert.deepEqual(site.ran(), ['upgrade']);
      }
    });

    test('a subdomain has the cookie in spite of SameSite=Strict, and is refused', async () => {
      await using site = await Victim.start('SameSite=Strict', {});
      const window = await visit(site, subdomain);
      assert.equal(await window.evaluate(attempt(site.socket)), refused);
      assert.deepEqual(site.ran(), []);
    });

    test('where every origin may connect, it comes in from a subdomain', async () => {
      await using site = await Victim.start('SameSite=Strict', { origins: '*' });
      const window = await visit(site, subdomain);
      assert.equal(await window.evaluate(attempt(site.socket)), 'Welcome, ada');
      assert.deepEqual(site.ran(), ['upgrade', 'open']);
    });

    test("a sandboxed frame on the application's own page is of no origin, and is refused", async () => {
      await using site = await Victim.start('SameSite=None', {});
      const window = await browser.open();
      await window.goto(site.page);
      assert.equal(await window.evaluate(attemptInSandbox(site.socket)), refused);
      assert.deepEqual(site.ran(), []);
    });

    test("'null' on the list lets it come as far as the application", async () => {
      await using site = await Victim.start('SameSite=None', {
        origins: ['null'],
        upgrade: () => undefined,
      });
      const window = await browser.open();
      await window.goto(site.page);
      assert.equal(await window.evaluate(attemptInSandbox(site.socket)), 'Welcome, ada');
      assert.deepEqual(site.ran(), ['open']);
    });

    /** What a page gets whose name leads to our address by the time it connects. */
    async function rebind(hosts: readonly string[] | undefined): Promise<[unknown, string[]]> {
      const ran: string[] = [];
      const attacker = await servePage(0);
      const { port } = attacker;
      const window = await browser.open();
      await window.goto(`http://${foreign}:${port}/`);
      // From here on the name leads to another server.
      await attacker.close({ timeoutMs: 0 });
      const server = await serve({
        port,
        ...(hosts === undefined ? {} : { hosts: hosts.map((host) => `${host}:${port}`) }),
        routes: {
          '/socket': {
            open(peer) {
              ran.push('open');
              peer.send('what is only for this network');
            },
          },
        },
      });
      try {
        return [await window.evaluate(attempt(`ws://${foreign}:${port}/socket`)), ran];
      } finally {
        await server.close({ timeoutMs: 0 });
      }
    }

    test('DNS rebinding: the origin is the same, and without hosts it comes in', async () => {
      assert.deepEqual(await rebind(undefined), ['what is only for this network', ['open']]);
    });

    test('DNS rebinding: with hosts it is refused', async () => {
      assert.deepEqual(await rebind([victim]), [refused, []]);
    });
  });
}
