/**
 * A server is killed and started again, fifty times, while a client that reconnects sends numbered messages and sends
 * again what was not acknowledged. All that was reported sent must be in the server's ledger.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dialLink } from '../../dist/node/client/link-session.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import { within } from '../faults/raw-socket.ts';

const KILLS = 50;
/** Acknowledged between two kills, at least. */
const BETWEEN = 20;

const program = fileURLToPath(new URL('./ledger-server.js', import.meta.url));

class LedgerServer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(ledger: string) {
    this.#child = spawn(process.execPath, [program, ledger], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    assert.ok(this.#child.stdout !== null);
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async #line(what: string): Promise<string> {
    const { value } = await within(what, this.#lines.next());
    return String(value);
  }

  /** Resolves with the port. */
  async listen(port: number): Promise<number> {
    assert.equal(await this.#line('the server'), 'ready');
    this.#child.stdin?.write(`${port}\n`);
    return Number(await this.#line('its port'));
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    assert.ok(this.#child.kill('SIGKILL'));
    await within('the end of the server', exited);
  }
}

/** What an application does that must lose nothing. */
class Sender {
  readonly client: ReconnectingClient;
  /** Of each message, how often it was handed to a connection, or is going to be. */
  readonly sent: number[] = [];
  /** In the order of their numbers. */
  readonly #unacknowledged: number[] = [];
  readonly dropped: unknown[] = [];
  acknowledged = 0;
  opened = 0;
  #onProgress: () => void = () => {};

  constructor(port: number) {
    this.client = new ReconnectingClient(dialLink, `ws://127.0.0.1:${port}/`, {
      backoff: { firstMs: 2, maxMs: 10 },
      queue: { maxMessages: 100_000, maxBytes: 2 ** 24 },
      open: (client) => {
        this.opened += 1;
        // Those behind are still in the queue, and follow by themselves.
        const lost = this.#unacknowledged.length - client.queued;
        for (const number of this.#unacknowledged.slice(0, lost)) this.#send(number);
      },
      message: (_client, data) => this.#acknowledge(Number(data)),
      dropped: (_client, data) => {
        this.dropped.push(data);
      },
    });
  }

  #send(number: number): void {
    this.sent[number] = (this.sent[number] ?? 0) + 1;
    assert.ok(this.client.send(String(number)));
  }

  sendNext(): void {
    const number = this.sent.length;
    this.#unacknowledged.push(number);
    this.#send(number);
  }

  #acknowledge(number: number): void {
    const index = this.#unacknowledged.indexOf(number);
    // One that was sent again may be acknowledged twice.
    if (index < 0) return;
    this.#unacknowledged.splice(index, 1);
    this.acknowledged += 1;
    this.#onProgress();
  }

  async acknowledgedUpTo(count: number): Promise<void> {
    await within(`${count} acknowledgements`, this.#reached(count));
  }

  async #reached(count: number): Promise<void> {
    while (this.acknowledged < count) {
      await new Promise<void>((resolve) => {
        this.#onProgress = resolve;
      });
    }
  }
}

test('what was reported sent and acknowledged arrived, whatever was killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aperto-ledger-'));
  const path = join(folder, 'ledger');
  let running = new LedgerServer(path);
  let next = new LedgerServer(path);
  t.after(async () => {
    await Promise.all([running.kill(), next.kill()]);
    rmSync(folder, { recursive: true });
  });
  const port = await running.listen(0);
  const sender = new Sender(port);
  const { client } = sender;
  const timer = setInterval(() => {
    for (let i = 0; i < 5; i += 1) sender.sendNext();
  }, 1);
  t.after(() => clearInterval(timer));

  for (let kills = 0; kills < KILLS; kills += 1) {
    await sender.acknowledgedUpTo(sender.acknowledged + BETWEEN);
    await running.kill();
    running = next;
    next = new LedgerServer(path);
    await running.listen(port);
  }
  clearInterval(timer);
  await sender.acknowledgedUpTo(sender.sent.length);
  client.close();
  assert.equal((await within('the end', client.closed)).code, 1000);

  const total = sender.sent.length;
  assert.ok(sender.opened > KILLS);
  assert.deepEqual(sender.dropped, []);
  const written = Array<number>(total).fill(0);
  const last = new Map<string, number>();
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const [connection = '', number = ''] = line.split(' ');
    written[Number(number)] = (written[Number(number)] ?? 0) + 1;
    // In order on each connection.
    assert.ok(
      Number(number) > (last.get(connection) ?? -1),
      `${line} after ${last.get(connection)}`,
    );
    last.set(connection, Number(number));
  }
  assert.equal(written.length, total);
  assert.ok(last.size > KILLS);
  // Each arrived, and none more often than it was sent: what waited for a connection exactly once.
  const tooOften = written.filter((times, number) => times > (sender.sent[number] ?? 0));
  assert.deepEqual(tooOften, []);
  assert.equal(written.filter((times) => times === 0).length, 0);
  const again = sender.sent.filter((times) => times > 1).length;
  t.diagnostic(`${total} messages over ${last.size} connections, ${again} sent again`);
  assert.ok(again > 0 && again < total);
});
