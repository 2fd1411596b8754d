import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, mock, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  ApertoError,
  type ClientPeer,
  type ConnectOptions,
  connect,
  type Peer,
  type ServeOptions,
  type Server,
  type WebSocket,
} from '../../dist/index.js';
import { codeOf, compile, root } from '../documented-code.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, startServer } from './connections.ts';

const folder = join(root, 'build', 'authentication');

interface Recipes {
  readonly cookie: { options: ServeOptions<never>; signIn(user: string, ms?: number): string };
  readonly ticket: { options: ServeOptions<never> };
  readonly ticketPage: { openChat(api: string, token: string): Promise<WebSocket> };
  readonly token: {
    options: ServeOptions<never>;
    sign(user: string, expires: number): string;
  };
  readonly tokenPage: { openChat(url: string, token: string): WebSocket };
  readonly message: {
    options: ServeOptions<never>;
    firstMessageMs: number;
    maxWaiting: number;
  };
  readonly messagePage: { openChat(url: string, token: string): WebSocket };
  readonly revocation: { server: Server<never>; signOut(user: string): void };
}

/** The code of docs/authentication.md, compiled as an application's. */
describe('the recipes for authentication', () => {
  let recipes: Recipes;

  before(async () => {
    const blocks = codeOf('docs/authentication.md');
    const files: Record<string, string> = Object.fromEntries(
      blocks.map((code) => [/^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1] ?? assert.fail(code), code]),
    );
    // As many as it takes to see what happens then.
    const ticketServer = files['ticket-server.ts']?.replace(
      'maxTickets = 10_000',
      'maxTickets = 100',
    );
    assert.ok(ticketServer !== undefined);
    assert.match(ticketServer, /maxTickets = 100;/);
    files['ticket-server.ts'] = ticketServer;
    await compile(folder, { ...files, 'package.json': '{ "type": "module" }' });
    const load = (name: string) => import(pathToFileURL(join(folder, `${name}.js`)).href);
    recipes = {
      cookie: await load('cookie-server'),
      ticket: await load('ticket-server'),
      ticketPage: await load('ticket-page'),
      token: await load('token-server'),
      tokenPage: await load('token-page'),
      message: await load('message-server'),
      messagePage: await load('message-page'),
      revocation: await load('revocation-server'),
    };
    assert.equal(Object.keys(files).length, Object.keys(recipes).length);
  });
  after(async () => {
    await recipes?.revocation.server.close({ timeoutMs: 0 });
    await rm(folder, { recursive: true, force: true });
  });

  /** A client's first message. */
  async function greeting(t: TestContext, url: string, options: ConnectOptions): Promise<string> {
    const peer = await dialTo(t, url, options);
    const { value } = await within('a greeting', peer[Symbol.asyncIterator]().next());
    return String(value);
  }

  /** The status that a client is refused with. */
  async function refusal(url: string, options: ConnectOptions): Promise<number | undefined> {
    const outcome = await connect(url, options).then(
      (peer) => {
        peer.terminate();
        assert.fail('it was let in');
      },
      (error: unknown) => error,
    );
    assert.ok(outcome instanceof ApertoError, String(outcome));
    return outcome.response?.status;
  }

  /** The first message to a page's socket, or the code with which it closes. */
  function outcomeOf(t: TestContext, socket: WebSocket): Promise<string | number> {
    t.after(() => socket.close());
    return within(
      'the page',
      new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(String(data));
        socket.onclose = ({ code }) => resolve(code);
      }),
    );
  }

  describe('a cookie', () => {
    async function start(t: TestContext): Promise<{ url: string; origin: string }> {
      const server = await startServer(t, { ...recipes.cookie.options, hosts: ['127.0.0.1'] });
      return { url: `${server.url}/chat`, origin: `http://127.0.0.1:${server.port}` };
    }
    const sent = (setCookie: string): string => setCookie.split(';', 1)[0] ?? '';

    test('who has signed in comes in, from a page of the same origin', async (t) => {
      const { url, origin } = await start(t);
      const cookie = sent(recipes.cookie.signIn('ada'));
      const headers = { Cookie: `theme=dark; ${cookie}; other=1`, Origin: origin };
      assert.equal(await greeting(t, url, { headers }), 'Welcome, ada');
    });

    test('the cookie is for this host, for TLS and not for scripts', () => {
      assert.match(
        recipes.cookie.signIn('ada'),
        /^__Host-session=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
      );
    });

    test('without the cookie, with another, with half of it, or after its time: 401', async (t) => {
      const { url, origin } = await start(t);
      const cookie = sent(recipes.cookie.signIn('ada'));
      const late = sent(recipes.cookie.signIn('ada', 0));
      for (const given of ['', 'a=b', `x${cookie}`, cookie.slice(0, -1), `${cookie}x`, late]) {
        assert.equal(
          await refusal(url, { headers: { Cookie: given, Origin: origin } }),
          401,
          given,
        );
      }
    });

    test("a foreign page is refused though it has the victim's cookie: 403; a foreign name: 421", async (t) => {
      const { url, origin } = await start(t);
      const Cookie = sent(recipes.cookie.signIn('ada'));
      for (const Origin of ['https://evil.example', 'null', `${origin}1`, 'http://127.0.0.1']) {
        assert.equal(await refusal(url, { headers: { Cookie, Origin } }), 403, Origin);
      }
      const rebound = { Cookie, Host: 'evil.example', Origin: 'http://evil.example' };
      assert.equal(await refusal(url, { headers: rebound }), 421);
    });
  });

  describe('a ticket', () => {
    const Origin = 'https://example.org';

    async function start(t: TestContext): Promise<{ url: string; api: string }> {
      const server = await startServer(t, recipes.ticket.options);
      return { url: `${server.url}/chat`, api: `http://127.0.0.1:${server.port}` };
    }

    async function ticketFrom(api: string, authorization = 'Bearer s3cret'): Promise<Response> {
      const headers = { Authorization: authorization, Origin };
      return await fetch(`${api}/tickets`, { method: 'POST', headers });
    }

    async function ticket(api: string): Promise<string> {
      const answer: unknown = await (await ticketFrom(api)).json();
      assert.ok(typeof answer === 'object' && answer !== null && 'ticket' in answer);
      return String(answer.ticket);
    }

    test('opens a connection, in a subprotocol or in the URL', async (t) => {
      const { url, api } = await start(t);
      const headers = { Origin };
      const protocols = ['chat', `ticket.${await ticket(api)}`];
      const peer = await dialTo(t, url, { headers, protocols });
      assert.equal(peer.protocol, 'chat');
      const target = `${url}?ticket=${await ticket(api)}`;
      assert.equal(await greeting(t, target, { headers }), 'Welcome, ada');
    });

    test('the page of the recipe comes in', async (t) => {
      const { api } = await start(t);
      const socket = await recipes.ticketPage.openChat(api, 's3cret');
      assert.equal(await outcomeOf(t, socket), 'Welcome, ada');
      assert.equal(socket.protocol, 'chat');
      await assert.rejects(recipes.ticketPage.openChat(api, 'wrong'), /no ticket: 401/);
    });

    test('none, a wrong one, and one that was used: 401', async (t) => {
      const { url, api } = await start(t);
      const headers = { Origin };
      assert.equal(await refusal(url, { headers }), 401);
      assert.equal(await refusal(`${url}?ticket=`, { headers }), 401);
      assert.equal(await refusal(`${url}?ticket=${'A'.repeat(43)}`, { headers }), 401);
      const used = `${url}?ticket=${await ticket(api)}`;
      await greeting(t, used, { headers });
      assert.equal(await refusal(used, { headers }), 401);
    });

    test('two that come with the same ticket: one gets in', async (t) => {
      const { url, api } = await start(t);
      const target = `${url}?ticket=${await ticket(api)}`;
      const both = [1, 2].map(() => connect(target, { headers: { Origin } }));
      const settled = await Promise.allSettled(both);
      for (const one of settled) if (one.status === 'fulfilled') one.value.terminate();
      assert.deepEqual(settled.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    });

    test('from another origin it is worth nothing, and used up', async (t) => {
      const { url, api } = await start(t);
      const target = `${url}?ticket=${await ticket(api)}`;
      // One that may connect, but is not the one that asked.
      const other = { Origin: 'https://beta.example.org' };
      assert.equal(await refusal(target, { headers: other }), 401);
      assert.equal(await refusal(target, { headers: { Origin } }), 401);
      // Who may not connect at all does not get as far as that.
      const spared = `${url}?ticket=${await ticket(api)}`;
      assert.equal(await refusal(spared, { headers: { Origin: 'https://evil.example' } }), 403);
      assert.equal(await greeting(t, spared, { headers: { Origin } }), 'Welcome, ada');
    });

    test('half a minute later it is worth nothing', async (t) => {
      const { url, api } = await start(t);
      const target = `${url}?ticket=${await ticket(api)}`;
      const now = Date.now();
      mock.method(Date, 'now', () => now + 30_001);
      t.after(() => mock.restoreAll());
      assert.equal(await refusal(target, { headers: { Origin } }), 401);
    });

    test('it is given by POST, to who is known, and is not to be stored', async (t) => {
      const { api } = await start(t);
      assert.equal((await fetch(`${api}/tickets`)).status, 404);
      assert.equal((await ticketFrom(api, 'Bearer wrong')).status, 401);
      const answer = await ticketFrom(api);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
    });

    test('there are no more tickets than are held; those that are too old make room', async (t) => {
      const { api } = await start(t);
      const statuses = new Set<number>();
      while (!statuses.has(503)) {
        const answers = await Promise.all(Array.from({ length: 25 }, () => ticketFrom(api)));
        for (const answer of answers) {
          statuses.add(answer.status);
          if (answer.status === 503) assert.equal(answer.headers.get('retry-after'), '5');
          await answer.arrayBuffer();
        }
      }
      const now = Date.now();
      mock.method(Date, 'now', () => now + 30_001);
      t.after(() => mock.restoreAll());
      assert.equal((await ticketFrom(api)).status, 200);
    });
  });

  describe('a token as a subprotocol', () => {
    const headers = { Origin: 'https://example.org' };
    const inAMinute = (): number => Date.now() + 60_000;

    async function start(t: TestContext): Promise<string> {
      return `${(await startServer(t, recipes.token.options)).url}/chat`;
    }

    test('is read and never answered', async (t) => {
      const url = await start(t);
      const token = recipes.token.sign('ada', inAMinute());
      for (const protocols of [
        ['chat', `bearer.${token}`],
        [`bearer.${token}`, 'chat'],
      ]) {
        assert.equal(await greeting(t, url, { headers, protocols }), 'Welcome, ada, to chat');
      }
      const socket = recipes.tokenPage.openChat(url, token);
      assert.equal(await outcomeOf(t, socket), 'Welcome, ada, to chat');
      assert.equal(socket.protocol, 'chat');
    });

    test('none, one that was changed, another key, two of them, one that has ended: 401', async (t) => {
      const url = await start(t);
      const token = recipes.token.sign('ada', inAMinute());
      const [claims = '', signature = ''] = token.split('.');
      const root = Buffer.from(JSON.stringify({ user: 'root', expires: inAMinute() }));
      for (const protocols of [
        ['chat'],
        ['chat', 'bearer.'],
        ['chat', `bearer.${claims}`],
        ['chat', `bearer.${claims}.${signature.slice(1)}`],
        ['chat', `bearer.${root.toString('base64url')}.${signature}`],
        ['chat', `bearer.${token}`, `bearer.${token}x`],
        ['chat', `bearer.${recipes.token.sign('ada', Date.now() - 1)}`],
      ]) {
        assert.equal(await refusal(url, { headers, protocols }), 401, String(protocols));
      }
    });

    test('it does not help a foreign page: 403', async (t) => {
      const url = await start(t);
      const protocols = ['chat', `bearer.${recipes.token.sign('ada', inAMinute())}`];
      assert.equal(await refusal(url, { headers: { Origin: 'null' }, protocols }), 403);
    });

    test('a log that the server writes has neither the token nor the query', async (t) => {
      const lines: string[] = [];
      const write = (details: object, text: string): void =>
        void lines.push(JSON.stringify(details) + text);
      const logger = { debug: write, info: write, warn: write, error: write };
      const server = await startServer(t, { ...recipes.token.options, logger });
      const token = recipes.token.sign('ada', inAMinute());
      const protocols = ['chat', `bearer.${token}`];
      await greeting(t, `${server.url}/chat?secret=1`, { headers, protocols });
      await refusal(`${server.url}/chat?secret=1`, { headers, protocols: ['chat', 'bearer.x.y'] });
      assert.ok(lines.length >= 2);
      for (const line of lines) assert.doesNotMatch(line, /secret|bearer/);
      assert.ok(!lines.join('').includes(token));
    });
  });

  describe('the first message', () => {
    async function start(t: TestContext, more: object = {}): Promise<string> {
      return `${(await startServer(t, { ...recipes.message.options, ...more })).url}/chat`;
    }

    async function closeCode(peer: ClientPeer): Promise<number> {
      return (await within('the close', peer.closed)).code;
    }

    const sign = (user: string, ms: number): string =>
      `token ${recipes.token.sign(user, Date.now() + ms)}`;

    test('lets in, and then messages are heard', async (t) => {
      const url = await start(t);
      const peer = await dialTo(t, url);
      const messages = peer[Symbol.asyncIterator]();
      peer.send(sign('ada', 60_000));
      peer.send('hello');
      assert.equal((await messages.next()).value, 'Welcome, ada');
      assert.equal((await messages.next()).value, 'ada said hello');
      const token = recipes.token.sign('bob', Date.now() + 60_000);
      const page = recipes.messagePage.openChat(url, token);
      assert.equal(await outcomeOf(t, page), 'Welcome, bob');
    });

    test('anything else before it, a wrong or an old token: closed with 4401', async (t) => {
      const url = await start(t);
      for (const first of ['hello', 'token ', 'token a.b', sign('ada', -1), Uint8Array.of(1)]) {
        const peer = await dialTo(t, url);
        peer.send(first);
        assert.equal(await closeCode(peer), 4401, String(first));
      }
    });

    test('who says nothing is closed at the deadline', async (t) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      t.after(() => mock.timers.reset());
      const opened: Peer<unknown>[] = [];
      const { '/chat': chat } = recipes.message.options.routes as Record<
        string,
        { open(peer: Peer<unknown>): void }
      >;
      assert.ok(chat);
      const open = (peer: Peer<unknown>): void => {
        opened.push(peer);
        chat.open(peer);
      };
      const url = await start(t, { routes: { '/chat': { ...chat, open } } });
      const peer = await connect(url);
      mock.timers.tick(recipes.message.firstMessageMs - 1);
      assert.equal(opened[0]?.state, 'open');
      mock.timers.tick(1);
      const { code, reason } = await peer.closed;
      assert.deepEqual([code, reason], [4401, 'who are you?']);
    });

    test('a token ends the connection when it ends itself, unless another one came', async (t) => {
      const url = await start(t);
      const peer = await dialTo(t, url);
      peer.send(sign('ada', 300));
      assert.equal(await closeCode(peer), 4401);
      const renewing = await dialTo(t, url);
      const messages = renewing[Symbol.asyncIterator]();
      renewing.send(sign('ada', 30_000));
      renewing.send(sign('ada', 60_000));
      assert.equal((await messages.next()).value, 'Welcome, ada');
      assert.equal((await messages.next()).value, 'Welcome, ada');
      // Not for somebody else.
      renewing.send(sign('bob', 60_000));
      assert.equal(await closeCode(renewing), 4401);
    });

    test('only so many wait to say who they are; who has said it makes room', async (t) => {
      const unlimited = { limits: { maxConnectionsPerAddress: Infinity } };
      const url = await start(t, unlimited);
      const peers: ClientPeer[] = [];
      for (let i = 0; i < recipes.message.maxWaiting; i++) peers.push(await dialTo(t, url));
      assert.equal(await refusal(url, {}), 503);
      const [first, second] = peers;
      assert.ok(first && second);
      first.send(sign('ada', 60_000));
      await within('a greeting', first[Symbol.asyncIterator]().next());
      const next = await dialTo(t, url);
      assert.equal(await refusal(url, {}), 503);
      second.close();
      await second.closed;
      next.terminate();
      // Both of them have gone, though the server may hear of it a moment later.
      const again = async (): Promise<ClientPeer> => {
        for (;;) {
          try {
            return await connect(url);
          } catch (error) {
            assert.ok(error instanceof ApertoError && error.response?.status === 503);
          }
        }
      };
      (await within('room', again())).terminate();
    });

    test('one address takes no more places than it may', async (t) => {
      const url = await start(t);
      for (let i = 0; i < 50; i++) await dialTo(t, url);
      assert.equal(await refusal(url, {}), 503);
    });
  });

  test('revocation: the connections of a user are closed, and the user does not come in again', async (t) => {
    const { server, signOut } = recipes.revocation;
    const url = `${server.url}/chat`;
    const headers = { Authorization: 'Bearer s3cret' };
    const peers = [await dialTo(t, url, { headers }), await dialTo(t, url, { headers })];
    signOut('nobody');
    assert.equal(server.peers.size, 2);
    signOut('ada');
    for (const peer of peers) {
      const { code, reason } = await within('the close', peer.closed);
      assert.deepEqual([code, reason], [4401, 'signed out']);
    }
    assert.equal(await refusal(url, { headers }), 401);
  });
});
