// Subscribers of several servers, and publishers of some. Asked what to do by one argument in JSON.
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientPeer, connect } from 'aperto';
import { type Dialect, type DialectName, dialects } from './dialects.ts';

export interface ScaleOutLoad {
  readonly dialect: DialectName;
  /** One a server; the same again where a process stands for several. */
  readonly ports: readonly number[];
  /** Of each server. */
  readonly subscribers: number;
  /** How many of the servers have a publisher, which is a subscriber too. */
  readonly publishers: number;
  /** Messages of each publisher on their way. */
  readonly inFlight: number;
  readonly size: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
  /** Where nothing has come for so long, nothing comes any more. */
  readonly stalledMs: number;
}

/** Texts of a publisher that go round, so that one that comes out of turn is noticed. */
const TEXTS = 1009;
const OPENED_AT_ONCE = 50;
/** How long a probe may take to all subscribers, before another is sent. */
const PROBE_MS = 1_000;
/** How long it is looked for what should not come. */
const LINGER_MS = 50;

/** Who publishes one text after the other, as long as all have received those before. */
class Publisher {
  readonly server: number;
  /** As they are sent and arrive. */
  readonly texts: readonly string[];
  /** The next turn to send. */
  next = 0;
  /** By turn, when it was sent, and how many have not received it. */
  readonly sentAt: Float64Array = new Float64Array(TEXTS);
  readonly waiting: Uint32Array = new Uint32Array(TEXTS);
  readonly #peer: ClientPeer;

  constructor(server: number, peer: ClientPeer, texts: readonly string[]) {
    this.server = server;
    this.#peer = peer;
    this.texts = texts;
  }

  publish(receivers: number): void {
    const at = this.next % TEXTS;
    this.sentAt[at] = performance.now();
    this.waiting[at] = receivers;
    this.next++;
    this.#peer.send(this.texts[at] ?? '');
  }
}

interface Subscriber {
  readonly server: number;
  /** By publisher, the turn that is to come next. */
  readonly turns: Uint32Array;
}

class Load {
  readonly #asked: ScaleOutLoad;
  readonly #dialect: Dialect;
  readonly #publishers: Publisher[] = [];
  readonly #subscribers: Subscriber[] = [];
  readonly #latencies = createHistogram();
  #probe: { readonly text: string; left: number; readonly done: () => void } | undefined =
    undefined;
  #probes = 0;
  #publishing = false;
  #counting = false;
  #messages = 0;
  /** Counted or not: a sign of life. */
  #arrived = 0;
  #wrong = 0;

  constructor(asked: ScaleOutLoad) {
    this.#asked = asked;
    this.#dialect = dialects[asked.dialect];
  }

  async run(): Promise<void> {
    const { publishers, inFlight, warmUpMs, durationMs } = this.#asked;
    const firsts: ClientPeer[] = [];
    for (const [server, port] of this.#asked.ports.entries()) {
      firsts.push(await this.#openAll(server, port));
    }
    for (const peer of firsts.slice(0, publishers)) await this.#reachAll(peer);
    for (const [index, peer] of firsts.slice(0, publishers).entries()) {
      this.#publishers.push(new Publisher(index, peer, this.#textsOf(index)));
    }
    this.#publishing = true;
    for (const publisher of this.#publishers) {
      for (let sent = 0; sent < inFlight; sent++) publisher.publish(this.#subscribers.length);
    }
    await sleep(warmUpMs);
    tell({ event: 'measuring' });
    const cpuAtStart = process.cpuUsage();
    const startedAt = performance.now();
    this.#counting = true;
    await sleep(durationMs);
    this.#counting = false;
    const seconds = (performance.now() - startedAt) / 1000;
    const { user, system } = process.cpuUsage(cpuAtStart);
    tell({ event: 'measured' });
    this.#publishing = false;
    await this.#drain();
    tell({
      event: 'result',
      seconds,
      messages: this.#messages,
      wrong: this.#wrong,
      // A connection that is lost ends the load.
      failed: 0,
      latencyMs: { p50: this.#quantile(50), p99: this.#quantile(99) },
      cpuSeconds: (user + system) / 1e6,
    });
  }

  #textsOf(publisher: number): string[] {
    const { size } = this.#asked;
    return Array.from({ length: TEXTS }, (_, turn) =>
      this.#dialect.wrap(`${publisher} ${turn} `.padEnd(size, '.')),
    );
  }

  #quantile(percentile: number): number | null {
    return this.#latencies.count === 0 ? null : this.#latencies.percentile(percentile) / 1e6;
  }

  // --- Connections

  /** @returns the first one. */
  async #openAll(server: number, port: number): Promise<ClientPeer> {
    const { subscribers } = this.#asked;
    const first = await this.#open(server, port);
    for (let open = 1; open < subscribers; open += OPENED_AT_ONCE) {
      const length = Math.min(OPENED_AT_ONCE, subscribers - open);
      await Promise.all(Array.from({ length }, () => this.#open(server, port)));
    }
    return first;
  }

  async #open(server: number, port: number): Promise<ClientPeer> {
    const subscriber = { server, turns: new Uint32Array(this.#asked.publishers) };
    this.#subscribers.push(subscriber);
    let ready: () => void = () => undefined;
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const peer = await connect(this.#dialect.url(port), {
      compression: false,
      message: (of, data) => {
        if (typeof data !== 'string') this.#wrong++;
        else if (!this.#take(subscriber, data)) this.#other(of, data, ready);
      },
      close(_peer, code, reason) {
        console.error(`Error: a connection was lost: ${code} ${reason}`);
        process.exit(1);
      },
    });
    if (!this.#dialect.isReadyAtOnce) await isReady;
    return peer;
  }

  // --- Messages

  /** Whether it is a publisher's. */
  #take(subscriber: Subscriber, text: string): boolean {
    const index = text.charCodeAt(this.#dialect.prefixLength) - 0x30;
    const publisher = this.#publishers[index];
    if (publisher === undefined) return false;
    this.#arrived++;
    const turn = subscriber.turns[index] ?? 0;
    const at = turn % TEXTS;
    if (turn === publisher.next || text !== publisher.texts[at]) {
      this.#wrong++;
      return true;
    }
    subscriber.turns[index] = turn + 1;
    if (this.#counting) {
      this.#messages++;
      if (subscriber.server !== publisher.server) {
        const ms = performance.now() - (publisher.sentAt[at] ?? 0);
        this.#latencies.record(Math.ceil(ms * 1e6));
      }
    }
    const left = (publisher.waiting[at] ?? 0) - 1;
    publisher.waiting[at] = left;
    if (left === 0 && this.#publishing) publisher.publish(this.#subscribers.length);
    return true;
  }

  #other(peer: ClientPeer, data: string, ready: () => void): void {
    const service = this.#dialect.service(data);
    if (service?.answer !== undefined) peer.send(service.answer);
    if (service?.isReady === true) ready();
    const probe = this.#probe;
    if (probe === undefined || data !== probe.text) return;
    probe.left--;
    if (probe.left === 0) probe.done();
  }

  /**
   * Resolves once a message of the peer has reached everybody: all servers have subscribed at the engine, which nobody
   * else can be asked.
   */
  async #reachAll(peer: ClientPeer): Promise<void> {
    let reached = false;
    while (!reached) {
      const text = this.#dialect.wrap(`probe ${this.#probes++}`);
      const left = this.#subscribers.length;
      const late = new AbortController();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          reached = true;
          resolve();
        };
        this.#probe = { text, left, done };
        peer.send(text);
        sleep(PROBE_MS, undefined, { signal: late.signal }).then(resolve, () => undefined);
      });
      late.abort();
    }
    this.#probe = undefined;
  }

  /** Waits for what is on its way, and for a while for what should not be. What does not come is wrong. */
  async #drain(): Promise<void> {
    let seen = this.#arrived;
    let seenAt = performance.now();
    while (this.#outstanding > 0 && performance.now() - seenAt < this.#asked.stalledMs) {
      await sleep(5);
      if (this.#arrived === seen) continue;
      seen = this.#arrived;
      seenAt = performance.now();
    }
    this.#wrong += this.#outstanding;
    await sleep(LINGER_MS);
  }

  get #outstanding(): number {
    let sum = 0;
    for (const { waiting } of this.#publishers) for (const left of waiting) sum += left;
    return sum;
  }
}

function tell(event: object): void {
  console.log(JSON.stringify(event));
}

const [, , text = ''] = process.argv;
const asked: ScaleOutLoad = JSON.parse(text);
await new Load(asked).run();
process.stdout.write('', () => process.exit());
