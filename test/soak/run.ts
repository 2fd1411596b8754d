import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisEngine, redisServer } from '../brokers/engines/redis-engine.ts';
import { HalfOpenPeers, roundMs } from './half-open.ts';
import type { Plan } from './plan.ts';
import type {
  FromLoad,
  FromPublisher,
  FromServer,
  Listening,
  ToLoad,
  ToPublisher,
  ToServer,
} from './process-messages.ts';
import type {
  Idle,
  LoadSample,
  PublisherSample,
  Run,
  RunEnd,
  RunStart,
  Sample,
  ServerSample,
} from './samples.ts';
import { inTime } from './slow-reader.ts';
import { SoakProcess } from './soak-process.ts';

const SAMPLE_MS = 1_000;
/** How often the engine is killed, at most and in a short run, and how long it stays away. */
const ENGINE_EACH_MS = 120_000;
const ENGINE_AWAY_MS = 2_500;
/** Until the servers have their engine back, and its messages have arrived. */
const ENGINE_BACK_MS = 15_000;
const ARRIVED_MS = 1_500;
const IDLE_MS = 15_000;
const LEFT_MS = 120_000;
const CLOSE_MS = 15_000;

/** What writes down a run while it goes on. */
export interface RunListener {
  started(start: RunStart): void;
  sampled(sample: Sample): void;
  note(text: string): void;
}

/** Soaks a server. Whatever comes of it, all that it started has ended when it returns or throws. */
export async function runSoak(
  plan: Plan,
  listener: RunListener,
  signal: AbortSignal,
): Promise<Run> {
  await using soak = new Soak(plan, listener, signal);
  return await soak.run();
}

class Soak implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #listener: RunListener;
  /** What is to end, the last one first. */
  readonly #started: AsyncDisposable[] = [];
  readonly #failures: string[] = [];
  /** The run is over, or has failed. */
  readonly #over = new AbortController();
  #server: ServerSample | undefined = undefined;
  #load: LoadSample | undefined = undefined;
  #publisher: PublisherSample | undefined = undefined;
  #halfOpen: HalfOpenPeers | undefined = undefined;
  #engineRestarts = 0;
  #sampling: NodeJS.Timeout | undefined = undefined;

  constructor(plan: Plan, listener: RunListener, signal: AbortSignal) {
    this.#plan = plan;
    this.#listener = listener;
    const interrupt = (): void => this.#fail('the run was interrupted');
    if (signal.aborted) interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
  }

  #fail(why: string): void {
    this.#failures.push(why);
    this.#over.abort();
  }

  #use<T extends AsyncDisposable>(started: T): T {
    this.#started.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sampling);
    this.#over.abort();
    for (const one of this.#started.reverse()) await one[Symbol.asyncDispose]();
  }

  readonly #died = (why: string): void => this.#fail(why);

  async run(): Promise<Run> {
    const plan = this.#plan;
    const engine = await this.#startEngine();
    const halfOpen = this.#use(await HalfOpenPeers.prepare());
    this.#halfOpen = halfOpen;
    const start = this.#describe(engine, halfOpen);
    this.#listener.started(start);

    const server = this.#use(
      new SoakProcess<FromServer, ToServer>(
        'server',
        { plan, enginePort: engine?.server.port, farHost: halfOpen.host },
        (message) => this.#heardServer(message),
        this.#died,
      ),
    );
    const listening = await server.next('listening');
    const publisher =
      engine &&
      this.#use(
        new SoakProcess<FromPublisher, ToPublisher>(
          'publisher',
          { plan, enginePort: engine.server.port },
          (message) => {
            if (message.type === 'sample') this.#publisher = message.sample;
          },
          this.#died,
        ),
      );
    await publisher?.next('ready');
    // What the first sample brings along is there before.
    await server.next('sample');
    const before = await this.#idle(server);
    const load = this.#use(
      new SoakProcess<FromLoad, ToLoad>(
        'load',
        { plan, listening, hasFar: engine !== undefined },
        (message) => {
          this.#load = message.sample;
        },
        this.#died,
      ),
    );
    const samples: Sample[] = [];
    this.#startSampling(samples);
    await Promise.all([
      this.#wait(plan.durationMs),
      this.#troubleHalfOpen(halfOpen, listening),
      engine && this.#troubleEngine(engine),
    ]);
    const end = this.#over.signal.aborted
      ? { before, after: before, endedByItself: false }
      : await this.#finish(before, server, publisher, load);
    clearInterval(this.#sampling);
    return { start, samples, end: { type: 'end', ...end, failures: this.#failures } };
  }

  async #startEngine(): Promise<RedisEngine | undefined> {
    if (redisServer === undefined) return undefined;
    return this.#use(await RedisEngine.start());
  }

  #describe(engine: RedisEngine | undefined, { by }: HalfOpenPeers): RunStart {
    const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
    return {
      type: 'run',
      startedAt: new Date().toISOString(),
      plan: this.#plan,
      machine: `Node ${process.version}, ${process.platform}, ${cpus().length} cores, ${model}`,
      notRun: engine === undefined ? ['engine restarts: redis-server is not installed'] : [],
      halfOpenBy: by,
    };
  }

  #heardServer(message: FromServer): void {
    if (message.type === 'sample') this.#server = message.sample;
    if (message.type !== 'found') return;
    const wrong = this.#halfOpen?.found(message.id, message.at);
    if (wrong !== undefined) this.#failures.push(`${wrong}: ${message.why}`);
  }

  async #idle(server: SoakProcess<FromServer, ToServer>): Promise<Idle> {
    const answer = server.next('idle');
    server.tell({ type: 'idle' });
    return (await answer).idle;
  }

  #startSampling(samples: Sample[]): void {
    const since = Date.now();
    this.#sampling = setInterval(() => {
      if (this.#server === undefined || this.#load === undefined) return;
      const sample: Sample = {
        type: 'sample',
        at: Date.now() - since,
        server: this.#server,
        load: this.#load,
        publisher: this.#publisher,
        halfOpen: this.#halfOpen?.sample ?? { cutOff: 0, found: 0, late: 0, slowestMs: 0 },
        engineRestarts: this.#engineRestarts,
      };
      samples.push(sample);
      this.#listener.sampled(sample);
    }, SAMPLE_MS);
  }

  /** Until then, or until something failed. */
  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {});
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  async #troubleHalfOpen(halfOpen: HalfOpenPeers, listening: Listening): Promise<void> {
    const until = Date.now() + this.#plan.durationMs;
    while (!this.#isOver && Date.now() + roundMs(this.#plan) < until) {
      const round = halfOpen.round(this.#plan, listening);
      await Promise.race([round, this.#whenOver()]).catch((error: unknown) =>
        this.#fail(String(error)),
      );
      round.catch(() => {});
    }
  }

  #whenOver(): Promise<void> {
    return this.#wait(2 ** 31 - 1);
  }

  async #troubleEngine(engine: RedisEngine): Promise<void> {
    const until = Date.now() + this.#plan.durationMs;
    const each = Math.min(ENGINE_EACH_MS, this.#plan.durationMs / 3);
    while (Date.now() + each + ENGINE_AWAY_MS < until) {
      await this.#wait(each);
      if (this.#isOver) return;
      await engine.kill();
      await this.#wait(Math.min(ENGINE_AWAY_MS, each / 2));
      await engine.restart();
      this.#engineRestarts += 1;
    }
  }

  /** Has everybody leave in order, and looks at what is left. */
  async #finish(
    before: Idle,
    server: SoakProcess<FromServer, ToServer>,
    publisher: SoakProcess<FromPublisher, ToPublisher> | undefined,
    load: SoakProcess<FromLoad, ToLoad>,
  ): Promise<Pick<RunEnd, 'before' | 'after' | 'endedByItself'>> {
    this.#listener.note('all leave');
    const lastFar = publisher && (await this.#stopPublisher(publisher));
    const left = load.next('left');
    load.tell({ type: 'leave', lastFar });
    if (!(await inTime(left, LEFT_MS))) this.#failures.push('the load did not come to its end');
    left.catch(() => {});
    server.tell({ type: 'stop-publishing' });
    load.expectEnd();
    await load[Symbol.asyncDispose]();
    const after = await this.#waitForIdle(server, before);
    // The last sample is to have everything.
    await sleep(2 * SAMPLE_MS);
    server.expectEnd();
    server.tell({ type: 'close' });
    const endedByItself = await inTime(server.exited, CLOSE_MS);
    return { before, after, endedByItself };
  }

  async #stopPublisher(
    publisher: SoakProcess<FromPublisher, ToPublisher>,
  ): Promise<readonly number[]> {
    const since = Date.now();
    const isUp = (): boolean =>
      this.#publisher?.engineUp === true && this.#server?.engineUp === true;
    while (!isUp() && Date.now() - since < ENGINE_BACK_MS) await sleep(100);
    if (!isUp()) this.#failures.push('the engine did not come back to the servers');
    // One message of each topic that nothing is lost of any more.
    await sleep(ARRIVED_MS);
    const stopped = publisher.next('stopped');
    publisher.expectEnd();
    publisher.tell({ type: 'stop' });
    const { last } = await stopped;
    await sleep(ARRIVED_MS);
    return last;
  }

  async #waitForIdle(server: SoakProcess<FromServer, ToServer>, before: Idle): Promise<Idle> {
    const since = Date.now();
    for (;;) {
      const now = await this.#idle(server);
      const isIdle = now.peers === 0 && (now.descriptors ?? 0) <= (before.descriptors ?? 0);
      if (isIdle || Date.now() - since > IDLE_MS) return now;
      await sleep(200);
    }
  }
}
