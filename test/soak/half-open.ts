import { setTimeout as sleep } from 'node:timers/promises';
import { NetworkNamespace } from './network-namespace.ts';
import { crowd, mostMsUntilFound, type Plan } from './plan.ts';
import type { FromHalfOpen, Listening } from './process-messages.ts';
import type { HalfOpenSample } from './samples.ts';
import { inTime } from './slow-reader.ts';
import { SoakProcess } from './soak-process.ts';

/** How long they are well before they are cut off. */
const WELL_MS = 1_500;
/** For connecting, and for cutting the network. */
const OTHER_MS = 2_000;

/** How long a round may take. */
export function roundMs(plan: Plan): number {
  return WELL_MS + mostMsUntilFound(plan) + OTHER_MS;
}

/**
 * Peers that fall silent without a word: their packets are lost, in a network namespace that is cut off; where there can be
 * none, their process is stopped, so that only the kernel still answers.
 */
export class HalfOpenPeers implements AsyncDisposable {
  readonly #namespace: NetworkNamespace | undefined;
  /** How they are made silent, in words. */
  readonly by: string;
  #round = 0;
  #isEnded = false;
  /** Cut off and not found yet, with the time of that. */
  readonly #missing = new Map<string, number>();
  #allFound: (() => void) | undefined = undefined;
  #clients: AsyncDisposable | undefined = undefined;
  #sample = { cutOff: 0, found: 0, late: 0, slowestMs: 0 };

  private constructor(namespace: NetworkNamespace | undefined, by: string) {
    this.#namespace = namespace;
    this.by = by;
  }

  static async prepare(): Promise<HalfOpenPeers> {
    try {
      const namespace = await NetworkNamespace.create();
      return new HalfOpenPeers(namespace, 'packets lost in a network namespace');
    } catch (error) {
      const [why = ''] = String(error instanceof Error ? error.message : error)
        .split('\n')
        .filter(Boolean)
        .slice(-1);
      return new HalfOpenPeers(
        undefined,
        `processes stopped by SIGSTOP, for want of a network namespace (${why})`,
      );
    }
  }

  /** An address of this machine that they come to; undefined where it is the usual one. */
  get host(): string | undefined {
    return this.#namespace?.host;
  }

  get sample(): HalfOpenSample {
    return { ...this.#sample };
  }

  /** The server has ended one of them. Returns what is wrong with that, if anything. */
  found(id: string, at: number): string | undefined {
    const since = this.#missing.get(id);
    if (since === undefined) return `a half-open peer was ended before it was cut off`;
    this.#missing.delete(id);
    this.#sample.found += 1;
    this.#sample.slowestMs = Math.max(this.#sample.slowestMs, at - since);
    if (this.#missing.size === 0) this.#allFound?.();
    return undefined;
  }

  /** Connects some, cuts them off, and waits until the server has found all of them, for as long as that may take. */
  async round(plan: Plan, listening: Listening): Promise<void> {
    this.#round += 1;
    const prefix = String(this.#round);
    const { halfOpen: count } = crowd(plan);
    const namespace = this.#namespace;
    const url =
      namespace === undefined
        ? `ws://127.0.0.1:${listening.tcp}`
        : `ws://${namespace.host}:${listening.far}`;
    await using clients = new SoakProcess<FromHalfOpen, never>(
      'half-open',
      { url, count, prefix },
      () => {},
      () => {},
      namespace?.command,
    );
    this.#clients = clients;
    const failed = clients.next('failed').then(({ why }) => {
      throw new Error(`half-open peers could not connect: ${why}`);
    });
    await Promise.race([clients.next('open'), failed]);
    failed.catch(() => {});
    await sleep(WELL_MS);
    if (this.#isEnded) return;
    const at = Date.now();
    for (let index = 0; index < count; index++) this.#missing.set(`${prefix}-${index}`, at);
    await (namespace === undefined ? clients.signal('SIGSTOP') : namespace.cutOff());
    this.#sample.cutOff += count;
    const found = new Promise<void>((resolve) => {
      this.#allFound = resolve;
    });
    await inTime(found, mostMsUntilFound(plan));
    this.#sample.late += this.#missing.size;
    if (this.#isEnded) return;
    // While the network is gone, so that nothing tells the server.
    await clients[Symbol.asyncDispose]();
    await namespace?.restore();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    this.#allFound?.();
    await this.#clients?.[Symbol.asyncDispose]();
    await this.#namespace?.remove();
  }
}
