import type { Limits } from '../protocol/limits.ts';

/**
 * Whose connections count together: those of an address; of IPv6, those of a network of 64 bits, since that is what one
 * site or customer is given, with all its addresses.
 */
export function countedTogether(address: string): string {
  if (!address.includes(':')) return address;
  // IPv4, as a socket for both families tells of it.
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter((group) => group !== '');
  const right = tail?.split(':').filter((group) => group !== '') ?? [];
  const groups = [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')];
  const network = [...groups, ...right].slice(0, 4);
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

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
      const who = countedTogether(address);
      const before = this.#ofAddress.get(who) ?? 0;
      if (before >= this.#limits.maxConnectionsPerAddress) return false;
      this.#ofAddress.set(who, before + 1);
    }
    this.#all += 1;
    return true;
  }

  leave(address: string | undefined): void {
    this.#all -= 1;
    if (address === undefined || !this.#countsAddresses) return;
    const who = countedTogether(address);
    const left = (this.#ofAddress.get(who) ?? 0) - 1;
    if (left > 0) this.#ofAddress.set(who, left);
    else this.#ofAddress.delete(who);
  }

  /** A table of addresses is only kept where it is looked at. */
  get #countsAddresses(): boolean {
    return this.#limits.maxConnectionsPerAddress !== Number.POSITIVE_INFINITY;
  }
}
