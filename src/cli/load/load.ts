import type { ClientPeer, ConnectOptions } from '../../index.ts';
import type { ClientConnectOptions } from '../connect-options.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** What is to be done to which server. */
export interface LoadPlan {
  readonly url: string;
  readonly mode: 'echo' | 'fan-out' | 'handshake' | 'idle';
  readonly connections: number;
  /** Payload bytes of a message; 0 where the mode sends none. */
  readonly size: number;
  /** Messages of each sender on their way; undefined with a rate, and where the mode sends none. */
  readonly inFlight: number | undefined;
  /** Messages sent a second, by all senders together. */
  readonly rate: number | undefined;
  readonly binary: boolean;
  /** Whether payloads are JSON. */
  readonly json: boolean;
  readonly durationMs: number;
  readonly warmUpMs: number;
  readonly connect: ClientConnectOptions;
}

/** What all connections of a load are made with. */
export type Dial = ClientConnectOptions & Required<Pick<ConnectOptions, 'limits' | 'signal'>>;

/** One kind of load. */
export interface Load {
  /** Opens one more connection. Rejects as `connect` does. */
  open(): Promise<void>;
  /** All connections are open. */
  start(): void;
  /** Begins nothing more; what is on its way may come back. */
  stop(): void;
  /** Messages on their way. */
  readonly outstanding: number;
  /** The peers that may be open. */
  peers(): readonly ClientPeer[];
}

/** What is counted. */
export class Tally {
  /** Whether messages count: not while warming up, and not after the end. */
  counting = false;
  readonly latencies: LatencyHistogram = new LatencyHistogram();
  /** Messages that came, right or wrong, counted or not: a sign of life. */
  arrived = 0;
  /** Messages that came damaged, twice or late, or did not come. */
  wrong = 0;
  /** Connections lost. */
  failed = 0;
  /** Why the first one was. */
  failure = '';
  readonly #onOver: () => void;

  /** `onOver` is called where nothing is left that could go on. */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** A message came, as it should. */
  took(ms: number): void {
    this.arrived++;
    if (this.counting) this.latencies.record(ms);
  }

  lost(why: string): void {
    if (this.failed === 0) this.failure = why;
    this.failed++;
  }

  /** A connection that had been open was lost. */
  lostPeer(peer: ClientPeer): void {
    const isFirst = this.failed === 0;
    this.lost('');
    if (!isFirst) return;
    peer.closed.then(({ code, reason, error }) => {
      const why = error?.message ?? reason;
      this.failure = `closed with ${code}${why === '' ? '' : `: ${why}`}`;
    });
  }

  over(): void {
    this.#onOver();
  }
}
