import type { Limits } from '../protocol/limits.ts';

/** Counts a server's connections, those that are being decided about too, and how many each address has. */
export class ConnectionCounts {
  readonly #limits: Limits;
  readonly #ofAddress = new Map<string, number>();
  #all = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Counts one more; false where there may be none. */
  enter(address: string | undefined): boolean {
    if (this.#all >= this.#limits.maxConnections) return false;
    if (address !== undefined && this.#countsAddresses) {
      const before = this.#ofAddress.get(address) ?? 0;
      if (before >= this.#limits.maxConnectionsPerAddress) return false;
      this.#ofAddress.set(address, before + 1);
    }
    this.#all += 1;
    return true;
  }

  leave(address: string | undefined): void {
    this.#all -= 1;
    if (address === undefined || !this.#countsAddresses) return;
    const left = (this.#ofAddress.get(address) ?? 0) - 1;
    if (left > 0) this.#ofAddress.set(address, left);
    else this.#ofAddress.delete(address);
  }

  /** A table of addresses is only kept where it is looked at. */
  get #countsAddresses(): boolean {
    return this.#limits.maxConnectionsPerAddress !== Number.POSITIVE_INFINITY;
  }
}
