import { clientError } from '../protocol/client-errors.ts';

/**
 * A message as a link takes it.
 * @throws {ApertoError} INVALID_DATA
 */
export function toMessage(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string' || data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw clientError('INVALID_DATA', { detail: `got ${data === null ? data : typeof data}` });
}

export interface QueueLimits {
  /** Default 1,000. */
  readonly maxMessages?: number;
  /** Bytes of all messages together, text as UTF-8. Default 1 MiB. */
  readonly maxBytes?: number;
  /** What happens where a message finds no room: it is refused, or the oldest make room for it. Default `refuse`. */
  readonly policy?: 'refuse' | 'drop-oldest';
}

interface Queued {
  readonly data: string | Uint8Array;
  readonly size: number;
}

/** Messages that wait for a connection, within limits. */
export class MessageQueue {
  /** Where a message is put that goes before those that wait already; undefined: behind them. */
  ahead: number | undefined = undefined;
  #bytes = 0;
  #messages: Queued[] = [];
  readonly #limits: Required<QueueLimits>;

  constructor(limits: Required<QueueLimits>) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** Whether nothing has to leave before what is sent now. */
  get isClear(): boolean {
    return (this.ahead ?? this.length) === 0;
  }

  /** Adds a copy. Returns what was dropped for it; undefined where it is refused. */
  add(message: string | Uint8Array): readonly (string | Uint8Array)[] | undefined {
    const data = typeof message === 'string' ? message : new Uint8Array(message);
    const size = typeof data === 'string' ? new TextEncoder().encode(data).length : data.length;
    const { maxMessages, maxBytes, policy } = this.#limits;
    const messages = this.#messages;
    const dropped: (string | Uint8Array)[] = [];
    while (messages.length >= maxMessages || this.#bytes + size > maxBytes) {
      if (policy === 'refuse' || size > maxBytes) return undefined;
      // Who is let ahead is newer than all behind.
      dropped.push(...this.#take(this.ahead === this.length ? 0 : this.ahead));
    }
    messages.splice(this.ahead ?? this.length, 0, { data, size });
    if (this.ahead !== undefined) this.ahead += 1;
    this.#bytes += size;
    return dropped;
  }

  /** Takes the next one out. */
  shift(): string | Uint8Array | undefined {
    return this.#take()[0];
  }

  #take(index = 0): (string | Uint8Array)[] {
    const taken = this.#messages.splice(index, 1);
    if (this.ahead !== undefined && this.ahead > index) this.ahead -= 1;
    return taken.map(({ data, size }) => {
      this.#bytes -= size;
      return data;
    });
  }
}
