import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocketStream } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import {
  type BulkProgress,
  type BulkQuestion,
  checkMessage,
  MESSAGE_BYTES,
  messageAt,
} from './bulk-messages.ts';

const MiB = 1024 * 1024;

/** What the sockets of both sides, our side's one message and the other side's high-water mark hold. */
const IN_BETWEEN = 32 * MiB;
/** What garbage comes to between two collections, and the runtime's own needs. */
const FLAT = 64 * MiB;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
/** When left alone, the newest Node lets 100 MiB come together. */
const COLLECT_EVERY = (16 * MiB) / MESSAGE_BYTES;

class BulkServer {
  readonly url: string;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** It ends with the test. */
  static async start(t: TestContext, count: number): Promise<BulkServer> {
    const program = fileURLToPath(new URL('./bulk-server.js', import.meta.url));
    const child = fork(program, [String(count)]);
    t.after(() => child.kill('SIGKILL'));
    const [url] = await within('the server', once(child, 'message'));
    return new BulkServer(child, String(url));
  }

  async ask(question: BulkQuestion): Promise<BulkProgress> {
    const answer = once(this.#child, 'message');
    this.#child.send(question);
    const [progress] = await within('an answer', answer);
    return progress as BulkProgress;
  }

  /** Where it stands once that has not changed for a while. */
  async standstill(): Promise<BulkProgress> {
    for (let before = -1; ; ) {
      const progress = await this.ask('progress');
      if (progress.messages === before) return progress;
      before = progress.messages;
      await sleep(200);
    }
  }
}

/** The most memory that this process has taken since it was made. */
class MemoryWatch {
  readonly #before = process.memoryUsage();
  #rss = 0;
  #buffers = 0;

  look(): void {
    const { rss, arrayBuffers } = process.memoryUsage();
    this.#rss = Math.max(this.#rss, rss - this.#before.rss);
    this.#buffers = Math.max(this.#buffers, arrayBuffers - this.#before.arrayBuffers);
  }

  afterMessage(count: number): void {
    if (count % 64 === 0) this.look();
    if (count % COLLECT_EVERY === 0) collectGarbage();
  }

  /** Checks it against what is allowed, and tells it. */
  end(t: TestContext, allowed: number): void {
    const [rss, buffers] = [this.#rss / MiB, this.#buffers / MiB].map(Math.round);
    t.diagnostic(`at most ${rss} MiB more of memory, ${buffers} MiB more in buffers`);
    assert.ok(this.#rss < allowed, `${rss} MiB more of memory`);
    assert.ok(this.#buffers < allowed, `${buffers} MiB more in buffers`);
  }
}

test('a slow reader keeps memory flat while the other side sends 1 GiB', {
  timeout: 60_000,
}, async (t) => {
  const count = (1024 * MiB) / MESSAGE_BYTES;
  const server = await BulkServer.start(t, count);
  const memory = new MemoryWatch();
  const stream = new WebSocketStream(`${server.url}/send`, { compression: false });
  const { readable } = await within('the connection', stream.opened);
  const reader = readable.getReader();
  let read = 0;
  const readOne = async (): Promise<void> => {
    const { value } = await reader.read();
    checkMessage(value, read);
    read++;
  };

  const idle = await server.standstill();
  assert.ok(idle.stops > 0, 'the sender has not been told to wait');
  assert.ok(idle.messages * MESSAGE_BYTES < IN_BETWEEN, `${idle.messages} messages were sent`);
  memory.look();

  for (let slowly = 0; slowly < 20; slowly++) {
    await sleep(10);
    await readOne();
  }
  const slow = await server.standstill();
  const ahead = (slow.messages - read) * MESSAGE_BYTES;
  assert.ok(ahead < IN_BETWEEN, `${ahead} bytes are sent and not read`);
  memory.look();

  while (read < count) {
    await readOne();
    memory.afterMessage(read);
  }
  assert.equal((await within('the end', reader.read())).done, true);
  assert.deepEqual(await stream.closed, { closeCode: 1000, reason: 'all sent' });
  memory.end(t, FLAT);
});

test('a writer waits for a server that does not read, and memory stays flat', {
  timeout: 60_000,
}, async (t) => {
  const count = (256 * MiB) / MESSAGE_BYTES;
  const server = await BulkServer.start(t, 0);
  const memory = new MemoryWatch();
  const stream = new WebSocketStream(`${server.url}/take`, { compression: false });
  const { writable } = await within('the connection', stream.opened);
  const writer = writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < count; written++) {
      await writer.write(messageAt(written));
      memory.afterMessage(written);
    }
    await writer.close();
  })();

  let before = -1;
  while (written > before) {
    before = written;
    await sleep(200);
  }
  assert.ok(written > 0, 'nothing was written');
  assert.ok(written * MESSAGE_BYTES < IN_BETWEEN, `${written} writes have settled`);
  memory.look();

  await server.ask('take');
  await writing;
  assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' });
  const { messages } = await server.ask('progress');
  assert.equal(messages, count);
  memory.end(t, FLAT);
});
