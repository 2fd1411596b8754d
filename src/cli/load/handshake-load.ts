import { type ClientPeer, connect } from '../../index.ts';
import type { Dial, Load, LoadPlan, Tally } from './load.ts';

/** Opens connections, closes them with 1000, and opens them again. */
export class HandshakeLoad implements Load {
  readonly outstanding = 0;
  readonly #url: string;
  readonly #dial: Dial;
  readonly #tally: Tally;
  readonly #peers: ClientPeer[] = [];
  #stopped = false;

  constructor(plan: LoadPlan, dial: Dial, tally: Tally) {
    this.#url = plan.url;
    this.#dial = dial;
    this.#tally = tally;
  }

  async open(): Promise<void> {
    this.#peers.push(await this.#connect());
  }

  start(): void {
    for (const index of this.#peers.keys()) this.#repeat(index);
  }

  stop(): void {
    this.#stopped = true;
  }

  peers(): readonly ClientPeer[] {
    return this.#peers;
  }

  /** What the server says is passed over: unread, it would hide that the connection ends. */
  #connect(): Promise<ClientPeer> {
    return connect(this.#url, { ...this.#dial, message() {} });
  }

  async #repeat(index: number): Promise<void> {
    let goesOn = true;
    while (goesOn) goesOn = await this.#again(index);
    if (!this.#stopped && this.#tally.failed === this.#peers.length) this.#tally.over();
  }

  /** Closes and opens one connection. Resolves to whether to go on. */
  async #again(index: number): Promise<boolean> {
    const peer = this.#peers[index];
    if (peer === undefined) return false;
    peer.close(1000);
    const { code } = await peer.closed;
    if (this.#stopped) return false;
    if (code !== 1000) {
      this.#tally.lostPeer(peer);
      return false;
    }
    const startedAt = performance.now();
    try {
      this.#peers[index] = await this.#connect();
    } catch (error) {
      if (!this.#stopped) this.#tally.lost(error instanceof Error ? error.message : String(error));
      return false;
    }
    this.#tally.took(performance.now() - startedAt);
    return !this.#stopped;
  }
}
