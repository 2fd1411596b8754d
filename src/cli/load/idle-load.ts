import { type ClientPeer, type ConnectOptions, connect } from '../../index.ts';
import type { Dial, Load, LoadPlan, Tally } from './load.ts';

/** Holds connections open. */
export class IdleLoad implements Load {
  readonly outstanding = 0;
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #peers: ClientPeer[] = [];

  constructor(plan: LoadPlan, dial: Dial, tally: Tally) {
    this.#url = plan.url;
    let open = plan.connections;
    this.#options = {
      ...dial,
      // What the server says is passed over: unread, it would hide that the connection ends.
      message() {},
      close(peer) {
        tally.lostPeer(peer);
        if (--open === 0) tally.over();
      },
    };
  }

  async open(): Promise<void> {
    this.#peers.push(await connect(this.#url, this.#options));
  }

  start(): void {}

  stop(): void {}

  peers(): readonly ClientPeer[] {
    return this.#peers;
  }
}
