import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { Server, Socket } from 'node:net';
import { before, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { takeOver, trySharedReads } from '../../dist/node/shared-read-buffer.js';
import { type MoveConnection, passesTrial } from '../../dist/node/shared-read-trial.js';
import { within } from '../faults/raw-socket.ts';
import { until } from './ways-of-reading.ts';

/** A trial that fails by waiting in vain takes as long. */
const TIMEOUT_MS = 100;

/** Longer than that: nothing else happens meanwhile in this thread. */
function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * TIMEOUT_MS);
}

/** The right move, for those that do one thing wrong. */
const move: MoveConnection = (socket, onread) => takeOver(socket, onread);

/** Changes the socket that the right move makes. */
function afterwards(spoil: (moved: Socket) => void): MoveConnection {
  return (socket, onread) => {
    const moved = move(socket, onread);
    assert.ok(moved !== undefined);
    spoil(moved);
    return moved;
  };
}

function swallow(event: string): MoveConnection {
  return afterwards((moved) => {
    const emit = moved.emit.bind(moved);
    moved.emit = (name: string | symbol, ...rest: unknown[]) =>
      name === event ? false : emit(name, ...rest);
  });
}

const wrongMoves: Readonly<Record<string, MoveConnection>> = {
  'returns undefined': () => undefined,
  throws: () => {
    throw new Error('no such handle');
  },
  'returns the socket as it was': (socket) => socket,
  'makes a socket without a connection': () => new Socket(),
  'never calls onread': (socket, { buffer }) => move(socket, { buffer, callback: () => true }),
  'reads into another buffer': (socket, { callback }) =>
    move(socket, { buffer: Buffer.alloc(16), callback }),
  'reads into a copy': (socket, { buffer, callback }) =>
    move(socket, { buffer, callback: (size, bytes) => callback(size, Buffer.from(bytes)) }),
  'tells a wrong size': (socket, { buffer, callback }) =>
    move(socket, { buffer, callback: (size, bytes) => callback(size - 1, bytes) }),
  'reads on after pause': afterwards((moved) => {
    moved.pause = () => moved;
  }),
  'does not read on after resume': afterwards((moved) => {
    const resume = moved.resume.bind(moved);
    moved.resume = () => {
      moved.resume = () => moved;
      return resume();
    };
  }),
  'does not write': afterwards((moved) => moved.cork()),
  'says it wrote': afterwards((moved) => {
    moved.write = () => true;
  }),
  'fails later': afterwards((moved) => {
    setImmediate(() => moved.destroy(new Error('broken')));
  }),
  'closes at once': afterwards((moved) => moved.destroy()),
  "never tells 'end'": swallow('end'),
  "never tells 'close'": swallow('close'),
  'does not send its end': afterwards((moved) => {
    moved.end = () => moved;
  }),
  'loses the server, which counts it for ever': afterwards((moved) => {
    Reflect.set(moved, '_server', null);
  }),
};

/** What sockets hold open, of this process. */
function openHandles(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /TCP|Connect|Shutdown|Write/.test(name));
}

/** Sockets that were made during the test by the moves, and what they must be in the end. */
async function expectNothingLeft(sockets: readonly Socket[]): Promise<void> {
  const handles = (): string => `handles to be closed: ${openHandles().join()}`;
  await until(handles, () => openHandles().length === 0);
  for (const socket of sockets) assert.ok(socket.destroyed);
}

/** Whatever nobody handles during the test. */
function watchUnhandled(t: TestContext): unknown[] {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  t.after(() => {
    process.off('unhandledRejection', note);
    process.off('uncaughtException', note);
  });
  return unhandled;
}

describe('the trial of shared reads', () => {
  before(trySharedReads);

  test('passes with what the library does, and leaves nothing behind', async () => {
    const moved: Socket[] = [];
    const watched: MoveConnection = (socket, onread) => {
      const made = move(socket, onread);
      if (made !== undefined) moved.push(socket, made);
      return made;
    };
    assert.equal(await passesTrial(watched), true);
    await expectNothingLeft(moved.slice(1));
    assert.equal(moved.length, 2);
  });

  // All at once: most of them wait until the trial gives up.
  test('fails with any other move, without a rejection and leaving nothing behind', async (t) => {
    const unhandled = watchUnhandled(t);
    const made: Socket[] = [];
    const outcomes = await Promise.all(
      Object.entries(wrongMoves).map(async ([name, wrong]) => {
        const watched: MoveConnection = (socket, onread) => {
          const moved = wrong(socket, onread);
          if (moved !== undefined) made.push(moved);
          return moved;
        };
        const trial = passesTrial(watched, TIMEOUT_MS);
        return [name, await within(`the trial of a move that ${name}`, trial)] as const;
      }),
    );
    for (const [name, passed] of outcomes) assert.equal(passed, false, `a move that ${name}`);
    await expectNothingLeft(made);
    assert.deepEqual(unhandled, []);
  });

  test('fails where nothing can be listened on', async (t) => {
    const { mock } = t.mock.method(Server.prototype, 'listen', function listen(this: Server) {
      process.nextTick(() => this.emit('error', new Error('EPERM')));
      return this;
    });
    assert.equal(await passesTrial(move, TIMEOUT_MS), false);
    mock.mockImplementation(() => {
      throw new Error('ERR_ACCESS_DENIED');
    });
    assert.equal(await passesTrial(move, TIMEOUT_MS), false);
    await expectNothingLeft([]);
  });

  test('passes while the program is busy for longer than the trial may take', async () => {
    const atOnce = passesTrial(move, TIMEOUT_MS);
    block();
    assert.equal(await atOnce, true, 'busy as it began');
    const inTheMiddle = passesTrial((socket, onread) => {
      block();
      return move(socket, onread);
    }, TIMEOUT_MS);
    assert.equal(await inTheMiddle, true, 'busy in the middle');
  });
});

describe('a process whose trial is running', () => {
  const library = new URL('../../dist/index.js', import.meta.url).href;

  async function run(program: string): Promise<string> {
    const source = `import { attach, connect, serve } from ${JSON.stringify(library)};\n${program}`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', source],
      { timeout: 10_000 },
    );
    return stdout;
  }

  test('is not kept by it', async () => {
    const program = `
      import { createServer } from 'node:http';
      attach(createServer(), { routes: {}, sharedReadBuffer: true });
      process.on('exit', () => console.log(performance.now() < 5_000));`;
    assert.equal(await run(program), 'true\n');
  });

  test('gives up to connect when the signal says so meanwhile', async () => {
    const program = `
      import { createServer } from 'node:net';
      const server = createServer(() => console.log('connected')).listen(0, '127.0.0.1', async () => {
        const giveUp = new AbortController();
        const url = 'ws://127.0.0.1:' + server.address().port;
        const limits = { handshakeTimeoutMs: 200 };
        const connecting = connect(url, { signal: giveUp.signal, limits });
        giveUp.abort(new Error('given up'));
        await connecting.catch((error) => console.log(error.message));
        server.close();
      });`;
    assert.equal(await run(program), 'given up\n');
  });
});
