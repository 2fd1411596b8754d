import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import { Ledger, type LedgerTotals } from './ledger.ts';
import { RawLink } from './link.ts';

export interface SlowReading {
  readonly port: number;
  readonly pingTimeoutMs: number;
  readonly totals: LedgerTotals;
  readonly random: Random;
  readonly signal: AbortSignal;
  problem(what: string): void;
  /** Closed by the policy. */
  closed(): void;
}

const ROUNDS = 3;
const BYE_MS = 20_000;

/** Reads, stops reading for a while, and goes on; again and again, until told to stop. */
export async function readSlowly(
  policy: 'drop' | 'latest' | 'close',
  shared: SlowReading,
): Promise<void> {
  while (!shared.signal.aborted) {
    const reader = new SlowReader(policy, shared);
    if (policy === 'close') await reader.waitForClose();
    else await reader.readAndLeave();
    // So that a server that refuses is not asked without end.
    await rest(shared, 500);
  }
}

class SlowReader {
  readonly #policy: string;
  readonly #shared: SlowReading;
  readonly #link: RawLink;
  readonly #gone: Promise<void>;
  #isGone = false;
  #code = 0;
  #ledger: Ledger | undefined = undefined;
  #saidBye: (() => void) | undefined = undefined;
  #isLeaving = false;

  constructor(policy: string, shared: SlowReading) {
    this.#policy = policy;
    this.#shared = shared;
    let resolve: () => void = () => {};
    this.#gone = new Promise((settle) => {
      resolve = settle;
    });
    this.#link = new RawLink(shared.port, `/slow/${policy}`, shared.random, {
      message: (data) => this.#message(data),
      ended: (code, why) => {
        this.#isGone = true;
        this.#code = code;
        const isGood =
          this.#isLeaving ||
          (policy === 'close' && (code === 1013 || why === 'ECONNRESET' || code === 1006));
        if (!isGood) shared.problem(`a slow reader (${policy}) was ended with ${code} ${why}`);
        resolve();
      },
    });
  }

  #message(data: string | Uint8Array): void {
    if (typeof data !== 'string') {
      this.#ledger?.message(Buffer.from(data.buffer, data.byteOffset, 4).readUInt32BE());
      return;
    }
    const [kind, last, dropped] = data.split(' ', 3);
    if (kind === 's')
      this.#ledger = new Ledger(
        `bulk, ${this.#policy}`,
        this.#shared.totals,
        Number(last) + 1,
        true,
      );
    else if (kind === 'b') {
      this.#ledger?.upTo(Number(last));
      this.#ledger?.left(Number(dropped));
      this.#saidBye?.();
    }
  }

  async #pause(least: number, most: number): Promise<void> {
    const { random, pingTimeoutMs } = this.#shared;
    this.#link.pause();
    await rest(this.#shared, random.between(least, most) * pingTimeoutMs);
    this.#link.resume();
  }

  async readAndLeave(): Promise<void> {
    const { random } = this.#shared;
    for (let round = 0; round < ROUNDS && !this.#shared.signal.aborted; round++) {
      await rest(this.#shared, random.between(500, 1_500));
      // Not so long that it counts as dead.
      await this.#pause(0.35, 0.55);
    }
    if (this.#isGone) return;
    // It must have the hello to keep a ledger.
    const bye = new Promise<void>((resolve) => {
      this.#saidBye = resolve;
    });
    this.#link.send('b');
    const isTold = await inTime(Promise.race([bye, this.#gone]), BYE_MS);
    if (!isTold) this.#shared.problem(`no answer to a slow reader's goodbye (${this.#policy})`);
    await this.#close();
  }

  async waitForClose(): Promise<void> {
    await rest(this.#shared, this.#shared.random.between(200, 1_000));
    await this.#pause(0.55, 0.65);
    if (await inTime(this.#gone, this.#shared.pingTimeoutMs)) {
      if (this.#code === 1013) this.#shared.closed();
      return;
    }
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#isLeaving = true;
    this.#link.close();
    if (await inTime(this.#gone, BYE_MS)) return;
    this.#shared.problem(`no answer to a slow reader's close (${this.#policy})`);
    this.#link.terminate();
    await this.#gone;
  }
}

/** Sleeps, unless the run ends. */
async function rest({ signal }: { readonly signal: AbortSignal }, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** Whether the promise has settled before the time is over. */
export async function inTime(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const timeUp = new AbortController();
  try {
    return await Promise.race([
      promise.then(() => true),
      sleep(ms, false, { signal: timeUp.signal }).catch(() => false),
    ]);
  } finally {
    timeUp.abort();
  }
}
