import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Logger as Pino, pino } from 'pino';
import {
  type Logger,
  RejectUpgrade,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { dial, handshake } from '../faults/raw-client.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, startServer } from './connections.ts';
import { until } from './ways-of-reading.ts';

type Line = Readonly<Record<string, unknown>>;

const DEBUG = 20;
const INFO = 30;
const ERROR = 50;

/** pino itself, and the lines that it has written. */
function realPino(): { logger: Pino; lines: Line[]; text(): string } {
  let written = '';
  const lines: Line[] = [];
  const out = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      written += chunk;
      lines.push(JSON.parse(chunk));
      done();
    },
  });
  return {
    logger: pino({ level: 'debug', base: null, timestamp: false }, out),
    lines,
    text: () => written,
  };
}

/** Peers end by themselves before the server does. */
async function emptied(server: Server): Promise<void> {
  await until('the end of all peers', () => server.peers.size === 0);
}

suite('pino gets', () => {
  test('a line for each connection that opens and closes', async (t) => {
    const { logger, lines } = realPino();
    const server = await startServer(t, {
      logger,
      routes: { '/chat': { protocols: ['chat'] } },
    });
    const client = await dialTo(t, `${server.url}/chat`, { protocols: ['chat'] });
    client.close(4001, 'bye');
    await emptied(server);
    const whom = { path: '/chat', remoteAddress: '127.0.0.1' };
    assert.deepEqual(lines, [
      { level: DEBUG, ...whom, protocol: 'chat', msg: 'WebSocket open' },
      { level: DEBUG, ...whom, code: 4001, reason: 'bye', msg: 'WebSocket closed' },
    ]);
  });

  test('why one was lost', async (t) => {
    const { logger, lines } = realPino();
    const server = await startServer(t, { logger, routes: { '/': {} } });
    const raw = await dial(server.port, false);
    raw.write(handshake());
    await raw.readHead();
    raw.socket.resetAndDestroy();
    await emptied(server);
    const { msg, ...details } = lines.at(-1) ?? {};
    assert.match(String(msg), /ended without a close frame: it was reset, \d\.\d s after/);
    assert.deepEqual(details, {
      level: INFO,
      path: '/',
      remoteAddress: '127.0.0.1',
      code: 1006,
      reason: '',
      error: 'CONNECTION_LOST',
    });
  });

  test('a line for each handshake that is refused, and why', async (t) => {
    const { logger, lines } = realPino();
    const server = await startServer(t, {
      logger,
      routes: {
        '/401': {
          upgrade() {
            throw new RejectUpgrade(401);
          },
        },
      },
    });
    await expectFailureCode(dialTo(t, `${server.url}/none`), 'STATUS_NOT_101');
    await expectFailureCode(dialTo(t, `${server.url}/401`), 'STATUS_NOT_101');
    const same = { level: INFO, remoteAddress: '127.0.0.1', msg: 'WebSocket handshake refused' };
    assert.deepEqual(lines, [
      { ...same, path: '/none', status: 404, reason: 'NO_ROUTE' },
      { ...same, path: '/401', status: 401, reason: 'status 401' },
    ]);
  });

  test('errors with their stacks, as pino writes them, where there is no `onError`', async (t) => {
    const { logger, lines } = realPino();
    const options: ServeOptions<undefined> = {
      logger,
      routes: {
        '/': {
          message(_, message) {
            throw message === 'error' ? new Error('mine') : Object.create(null);
          },
        },
      },
    };
    const server = await serve(options);
    t.after(() => server.close({ timeoutMs: 100 }));
    for (const message of ['error', 'no error']) {
      const client = await dialTo(t, server.url);
      client.send(message);
      assert.equal((await within('the end', client.closed)).code, 1011);
    }
    await emptied(server);
    const errors = lines.filter(({ level }) => level === ERROR);
    assert.deepEqual(
      errors.map(({ msg }) => msg),
      ['mine', '[Object: null prototype] {}'],
    );
    const { err } = errors[0] ?? {};
    assert.ok(typeof err === 'object' && err !== null && 'stack' in err);
    assert.match(String(err.stack), /logger\.test/);
    const closed = lines.filter((line) => line['error'] === 'HANDLER_FAILED');
    assert.deepEqual(
      closed.map(({ level, code }) => [level, code]),
      [
        [INFO, 1011],
        [INFO, 1011],
      ],
    );
  });

  test('the health', async () => {
    const { logger, lines } = realPino();
    const server = await serve({ logger, routes: {} });
    await server.close();
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.['msg'], 'the server is closing');
    assert.deepEqual(lines[0]['health'], { ...server.health });
  });

  test('no query, which may hold a secret, from anybody', async (t) => {
    const { logger, text } = realPino();
    const server = await startServer(t, {
      logger,
      onError() {},
      routes: {
        '/ok': { close() {} },
        '/401': {
          upgrade() {
            throw new RejectUpgrade(401);
          },
        },
      },
      limits: { maxConnections: 1 },
    });
    const secret = 'token=s3cret';
    const client = await dialTo(t, `${server.url}/ok?${secret}&x=a?${secret}`);
    for (const path of ['/ok', '/none', '/401']) {
      await expectFailureCode(dialTo(t, `${server.url}${path}?${secret}`), 'STATUS_NOT_101');
    }
    client.close();
    await emptied(server);
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake({ path: `http://127.0.0.1/none?${secret}` }));
    await raw.readHead();
    assert.ok(text().split('\n').length >= 6);
    assert.doesNotMatch(text(), /s3cret/);
  });

  test('nor more than one line, whatever a peer says', async (t) => {
    const { logger, lines, text } = realPino();
    const server = await startServer(t, { logger, routes: { '*': {} } });
    const client = await dialTo(t, `${server.url}/a%0Ab`);
    client.close(4000, 'a\n{"level":60,"msg":"forged"}');
    await emptied(server);
    assert.equal(text().trim().split('\n').length, 2);
    assert.equal(lines.at(-1)?.['reason'], 'a\n{"level":60,"msg":"forged"}');
  });
});

test('where `onError` is given, errors go there alone', async (t) => {
  const { logger, lines } = realPino();
  const errors: unknown[] = [];
  const route = {
    message(): void {
      throw new Error('mine');
    },
  };
  const server = await startServer(t, {
    logger,
    routes: { '/': route },
    onError: (error) => errors.push(error),
  });
  const client = await dialTo(t, server.url);
  client.send('x');
  await within('the end', client.closed);
  await emptied(server);
  assert.equal(errors.length, 1);
  assert.deepEqual(
    lines.filter(({ level }) => level === ERROR),
    [],
  );
});

test('what is no logger is told at once', async () => {
  const log = (): void => {};
  const fit = { debug: log, info: log, warn: log, error: log };
  const misfits: unknown[] = [null, false, 0, '', 'pino', {}, log, { ...fit, warn: undefined }];
  for (const name of Object.keys(fit)) {
    const { [name as keyof typeof fit]: _, ...rest } = fit;
    misfits.push(rest);
  }
  for (const logger of misfits) {
    await assert.rejects(serve({ routes: {}, logger: logger as Logger }), {
      code: 'INVALID_OPTION',
      message: /a logger has the methods debug, info, warn, error/,
    });
  }
  await (await serve({ routes: {}, logger: fit })).close();
});

/** One whose every method throws; what reaches the console is counted. */
function failing(t: TestContext): { logger: Logger; told(): number } {
  const fail = (): never => {
    throw new Error('no space left');
  };
  const told = t.mock.method(console, 'error', () => {});
  return {
    logger: { debug: fail, info: fail, warn: fail, error: fail },
    told: () => told.mock.callCount(),
  };
}

test('a logger that throws takes no connection with it, and no count goes wrong', async (t) => {
  const { logger, told } = failing(t);
  const server = await serve<undefined>({
    logger,
    limits: { maxConnections: 1 },
    routes: {
      '/': {
        async upgrade() {
          await nextTurn();
        },
        message(peer, message) {
          peer.send(message);
        },
      },
      '/fails': {
        upgrade() {
          throw new Error('mine');
        },
      },
    },
  });
  for (let i = 0; i < 3; i++) {
    const client = await dialTo(t, server.url);
    client.send('x');
    for await (const message of client) {
      assert.equal(message, 'x');
      break;
    }
    client.close();
    await emptied(server);
    await expectFailureCode(dialTo(t, `${server.url}/none`), 'STATUS_NOT_101');
    await expectFailureCode(dialTo(t, `${server.url}/fails`), 'STATUS_NOT_101');
  }
  await within('the close', server.close());
  const { connections, errors } = server.metrics();
  assert.deepEqual(connections, {
    open: 0,
    opened: 3,
    refused: { NO_ROUTE: 3, UPGRADE_FAILED: 3 },
    closed: { 1005: 3 },
  });
  assert.equal(errors, 3);
  // Each round: open and closed, two refusals, an error; and in the end the health.
  assert.equal(told(), 3 * 5 + 1);
});

test('the methods are called on the logger', async () => {
  class Counting implements Logger {
    lines = 0;
    debug(): void {
      this.lines += 1;
    }
    info(): void {
      this.lines += 1;
    }
    warn(): void {
      this.lines += 1;
    }
    error(): void {
      this.lines += 1;
    }
  }
  const logger = new Counting();
  const server = await serve({ logger, routes: {} });
  await server.close();
  assert.equal(logger.lines, 1);
});
