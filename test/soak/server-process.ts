/** The server under test: over TCP, over TLS with HTTP/2, and at the network namespace's address. */
import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { generate } from 'selfsigned';
import { redisBroker } from '../../dist/brokers/redis.js';
import {
  ApertoError,
  type Message,
  type Peer,
  type Route,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { Random } from '../random.ts';
import {
  BULK_BYTES,
  crowd,
  FAR_TOPICS,
  HANDSHAKE_TIMEOUT_MS,
  MALFORMED_FRAGMENTS,
  MALFORMED_MESSAGE_BYTES,
  MESSAGE_TIMEOUT_MS,
} from './plan.ts';
import { asked, listen, type ServerAsked, type ToServer, tell } from './process-messages.ts';
import { sampleProcess } from './process-sample.ts';
import { count, type Idle, type Kind } from './samples.ts';

const { plan, enginePort, farHost } = asked<ServerAsked>();
const { localTopics, bulkPerSecond } = crowd(plan);
const faults = new Set(plan.faults);
const random = new Random(plan.seed).fork('server');

/** How often messages are published, and that a topic has its turn every so many times. */
const TICK_MS = 100;
const TURNS = 5;
const MOST_KINDS_OF_ERRORS = 100;

interface Data {
  readonly kind: Kind;
  readonly id: string;
  readonly local: number;
  readonly far: number | undefined;
}

let opened = 0;
let received = 0;
let published = 0;
const ends: Record<string, number> = {};
const errors: Record<string, number> = {};
const leaked: unknown[] = [];

function reportError(error: unknown): void {
  const code = error instanceof ApertoError ? error.code : String(error).slice(0, 100);
  if (code in errors || Object.keys(errors).length < MOST_KINDS_OF_ERRORS) count(errors, code);
}

/** One server with topics of its own, all numbered. */
class Endpoint {
  readonly server: Promise<Server<Data>>;
  readonly #name: string;
  readonly #engine: Redis | undefined;
  readonly #sequences: number[] = new Array<number>(localTopics).fill(0);
  #bulk = 0;
  #listening: Server<Data> | undefined = undefined;

  constructor(name: string, options: Pick<ServeOptions<Data>, 'tls' | 'host'>) {
    this.#name = name;
    if (enginePort !== undefined) {
      this.#engine = new Redis(enginePort, '127.0.0.1', { retryStrategy: () => 100 });
      // The broker tells; this only keeps it from ending the process.
      this.#engine.on('error', () => {});
    }
    this.server = serve<Data>({
      ...options,
      limits: {
        handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
        pingAfterMs: faults.has('deaf-to-silence') ? Number.POSITIVE_INFINITY : plan.pingAfterMs,
        pingTimeoutMs: plan.pingTimeoutMs,
        // Who reads nothing is found by its silence, or by what waits for it, whichever is first.
        stallTimeoutMs: plan.pingAfterMs + plan.pingTimeoutMs,
      },
      ...(this.#engine === undefined ? {} : { broker: redisBroker({ client: this.#engine }) }),
      onError: reportError,
      routes: {
        '/member': this.#route('member', {}),
        '/slow/drop': this.#route('drop', {
          slowPeers: 'drop',
          limits: { maxBufferedBytes: 4 * BULK_BYTES },
        }),
        '/slow/latest': this.#route('latest', {
          slowPeers: 'latest',
          limits: { maxBufferedBytes: 4 * BULK_BYTES },
        }),
        '/slow/close': this.#route('close', {
          slowPeers: 'close',
          limits: { maxBufferedBytes: 4 * BULK_BYTES },
        }),
        '/half-open': this.#route('half-open', {}),
        '/malformed': this.#route('malformed', {
          compression: true,
          limits: {
            maxMessageBytes: MALFORMED_MESSAGE_BYTES,
            maxFragments: MALFORMED_FRAGMENTS,
            messageTimeoutMs: MESSAGE_TIMEOUT_MS,
          },
        }),
      },
    });
    void this.server.then((server) => {
      this.#listening = server;
    });
  }

  #route(
    kind: Kind,
    options: Pick<Route<Data>, 'slowPeers' | 'limits' | 'compression'>,
  ): Route<Data> {
    return {
      ...options,
      upgrade: ({ url }) => {
        const query = new URL(url, 'ws://server').searchParams;
        const far = query.get('far');
        return {
          kind,
          id: query.get('id') ?? '',
          local: Number(query.get('local') ?? 0),
          far: far === null ? undefined : Number(far),
        };
      },
      open: (peer) => this.#open(peer),
      message: (peer, message) => this.#message(peer, message),
      gap: (peer, topic) => {
        // Of its own topics nothing is missing, and what is counted as dropped should be messages alone.
        if (topic.startsWith('far/') && !faults.has('hide-gaps')) peer.send(`g ${topic}`);
      },
      close: (peer, code) => void this.#closed(peer, code),
    };
  }

  #topicOf({ kind, local }: Data): string {
    const isSlow = kind === 'drop' || kind === 'latest' || kind === 'close';
    return isSlow ? `${this.#name}/bulk` : `${this.#name}/${local}`;
  }

  #lastOf({ kind, local }: Data): number {
    return kind === 'member' || kind === 'half-open' ? (this.#sequences[local] ?? 0) : this.#bulk;
  }

  #open(peer: Peer<Data>): void {
    opened += 1;
    const { data } = peer;
    if (data.kind === 'malformed') return;
    // Half of the half-open peers are left in peace, so that nothing waits for them.
    if (data.kind === 'half-open' && Number(data.id.split('-')[1]) % 2 === 0) return;
    peer.subscribe(this.#topicOf(data));
    if (data.far !== undefined) peer.subscribe(`far/${data.far}`);
    peer.send(`s ${this.#lastOf(data)}`);
  }

  #message(peer: Peer<Data>, message: Message): void {
    received += 1;
    if (faults.has('throw-in-handler') && received % 100 === 0) throw new Error('as asked');
    if (message !== 'b') {
      peer.send(message);
      return;
    }
    // It wants to leave, and to know what it should have had.
    peer.unsubscribe(this.#topicOf(peer.data));
    void this.#answerBye(peer, this.#lastOf(peer.data));
  }

  /** Not before everything else is sent: the policy for slow peers may yet drop some of that. */
  async #answerBye(peer: Peer<Data>, last: number): Promise<void> {
    while (peer.bufferedAmount > 0 && peer.state === 'open') await sleep(20);
    peer.send(`b ${last} ${peer.dropped}`);
  }

  async #closed(peer: Peer<Data>, code: number): Promise<void> {
    const { error } = await peer.closed;
    const why = error?.code ?? String(code);
    count(ends, `${peer.data.kind} ${why}`);
    if (peer.data.kind === 'half-open')
      tell({ type: 'found', id: peer.data.id, at: Date.now(), why });
  }

  publish(turn: number): void {
    const server = this.#listening;
    if (server === undefined) return;
    for (let topic = turn % TURNS; topic < localTopics; topic += TURNS) {
      // Now and then many in one tick, which go together.
      const messages = random.next() < 0.05 ? 8 : 1;
      for (let i = 0; i < messages; i++) this.#publishOne(server, topic);
    }
  }

  #publishOne(server: Server<Data>, topic: number): void {
    const sequence = (this.#sequences[topic] ?? 0) + 1;
    this.#sequences[topic] = sequence;
    published += 1;
    // Now and then, as what it does wrong.
    const turn = topic === 0 ? sequence % 8 : 1;
    if (turn === 0 && faults.has('lose-message')) return;
    const text = `l ${sequence} ${'x'.repeat(random.below(200))}`;
    server.publish(`${this.#name}/${topic}`, text);
    if (turn === 4 && faults.has('repeat-message')) server.publish(`${this.#name}/${topic}`, text);
  }

  publishBulk(bytes: Buffer): void {
    this.#bulk += 1;
    published += 1;
    bytes.writeUInt32BE(this.#bulk);
    this.#listening?.publish(`${this.#name}/bulk`, bytes);
  }

  get peers(): number {
    return this.#listening?.peers.size ?? 0;
  }

  get dropped(): number {
    return this.#listening?.dropped ?? 0;
  }

  get gaps(): number {
    return this.#listening?.health.gaps ?? 0;
  }

  get isUp(): boolean {
    return this.#listening?.health.status !== 'degraded';
  }

  async close(): Promise<void> {
    await this.#listening?.close({ timeoutMs: 5_000 });
    this.#engine?.disconnect();
  }
}

const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
  keyType: 'ec',
  algorithm: 'sha256',
});
const tcp = new Endpoint('tcp', {});
const tls = new Endpoint('tls', { tls: { cert, key } });
const far = farHost === undefined ? undefined : new Endpoint('namespace', { host: farHost });
const endpoints = [tcp, tls, ...(far === undefined ? [] : [far])];

function sum(measure: (endpoint: Endpoint) => number): number {
  return endpoints.reduce((total, endpoint) => total + measure(endpoint), 0);
}

function idle(): Idle {
  const { descriptors, handles } = sampleProcess();
  return { descriptors, handles, peers: sum(({ peers }) => peers) };
}

let turn = 0;
let timers: NodeJS.Timeout[] = [];

function start(): void {
  const publishing = setInterval(() => {
    turn += 1;
    for (const endpoint of endpoints) endpoint.publish(turn);
  }, TICK_MS);
  // One buffer for each message: those that wait must not change.
  const bulk = setInterval(() => tcp.publishBulk(Buffer.alloc(BULK_BYTES)), 1000 / bulkPerSecond);
  timers = [publishing, bulk];
}

function misbehave(): void {
  if (faults.has('leak-memory')) leaked.push(Buffer.alloc(8 * 1024 * 1024, 1));
  if (faults.has('leak-handles')) leaked.push(openSync('/dev/null', 'r'));
}

const sampling = setInterval(() => {
  misbehave();
  tell({
    type: 'sample',
    sample: {
      ...sampleProcess(),
      peers: sum(({ peers }) => peers),
      opened,
      received,
      published,
      dropped: sum(({ dropped }) => dropped),
      gaps: sum(({ gaps }) => gaps),
      engineUp: endpoints.every(({ isUp }) => isUp),
      ends: { ...ends },
      errors: { ...errors },
    },
  });
}, 1000);

async function close(): Promise<void> {
  clearInterval(sampling);
  await Promise.all(endpoints.map((endpoint) => endpoint.close()));
  // From here on nothing of the server's may keep the process.
  process.removeAllListeners('disconnect');
  process.disconnect();
}

process.on('unhandledRejection', (error) => {
  count(errors, 'UNHANDLED_REJECTION');
  reportError(error);
});
listen<ToServer>(({ type }) => {
  if (type === 'idle') tell({ type: 'idle', idle: idle() });
  else if (type === 'stop-publishing') for (const timer of timers) clearInterval(timer);
  else void close();
});
const [tcpServer, tlsServer, farServer] = await Promise.all(endpoints.map(({ server }) => server));
for (let topic = 0; topic < FAR_TOPICS; topic++) {
  // A listener of the server's own keeps the subscription at the engine, whoever comes and goes.
  for (const server of [tcpServer, tlsServer]) server?.subscribe(`far/${topic}`, { message() {} });
}
start();
tell({
  type: 'listening',
  tcp: tcpServer?.port ?? 0,
  tls: tlsServer?.port ?? 0,
  far: farServer?.port ?? 0,
  certificate: cert,
});
