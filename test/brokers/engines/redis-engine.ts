import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findProgram, skipWithout } from '../../installed-program.ts';

export const redisServer: string | undefined = findProgram('redis-server', 'APERTO_REDIS_SERVER');
export const skipWithoutRedis: string | false = skipWithout('redis-server', redisServer);

const READY_MS = 30_000;
const ATTEMPTS = 3;
const SLOTS = 16_384;

export interface RedisEngineOptions {
  /** Three masters without replicas, instead of one server. */
  readonly cluster?: boolean;
  /** More of redis.conf, as arguments: `['--appendonly', 'yes']`. By default nothing is kept on disk. */
  readonly config?: readonly string[];
}

/** A Redis of its own, or a Redis Cluster, on ports and in a folder of its own. */
export class RedisEngine implements AsyncDisposable {
  readonly isCluster: boolean;
  readonly servers: readonly RedisServer[];
  readonly #folder: string;

  private constructor(folder: string, servers: readonly RedisServer[]) {
    this.#folder = folder;
    this.servers = servers;
    this.isCluster = servers.length > 1;
  }

  static async start(options: RedisEngineOptions = {}): Promise<RedisEngine> {
    for (let attempt = 1; ; attempt++) {
      const folder = await mkdtemp(join(tmpdir(), 'aperto-redis-'));
      const count = options.cluster === true ? 3 : 1;
      const ports = await freePorts(2 * count);
      const servers = Array.from({ length: count }, (_, index) => {
        const port = ports[2 * index] ?? 0;
        const config = ['--save', '', ...(options.config ?? [])];
        if (count > 1) {
          config.push('--cluster-enabled', 'yes', '--cluster-node-timeout', '3000');
          config.push('--cluster-port', String(ports[2 * index + 1]));
        }
        return new RedisServer(join(folder, String(port)), port, config);
      });
      const engine = new RedisEngine(folder, servers);
      try {
        await Promise.all(servers.map((server) => server.start()));
        if (engine.isCluster) await engine.#join(ports);
        return engine;
      } catch (error) {
        await engine.end();
        // Somebody else may have taken a port meanwhile.
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  get server(): RedisServer {
    const [first] = this.servers;
    if (first === undefined) throw new Error('no server');
    return first;
  }

  async #join(ports: readonly number[]): Promise<void> {
    for (const [index, server] of this.servers.entries()) {
      const first = Math.ceil((SLOTS * index) / this.servers.length);
      const last = Math.ceil((SLOTS * (index + 1)) / this.servers.length) - 1;
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      await server.command('CLUSTER', 'ADDSLOTSRANGE', first, last);
      if (index === 0) continue;
      await server.command('CLUSTER', 'MEET', '127.0.0.1', ports[0] ?? 0, ports[1] ?? 0);
    }
    await this.isWhole();
  }

  /** Who has a slot to begin with. */
  serverOf(slot: number): RedisServer | undefined {
    return this.servers[Math.floor((slot * this.servers.length) / SLOTS)];
  }

  /** Gives an empty slot to one of the servers. */
  async moveSlot(slot: number, to: number): Promise<void> {
    const target = this.servers[to];
    if (target === undefined) throw new Error('no such server');
    const id = String(await target.command('CLUSTER', 'MYID'));
    // The new owner first, so that nobody is ever sent to one that sends on.
    for (const server of [target, ...this.servers.filter((each) => each !== target)]) {
      await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', id);
    }
  }

  /** Resolves once every server knows all of the cluster, and says that it works. */
  async isWhole(): Promise<void> {
    await eventually(async () => {
      for (const server of this.servers) {
        const info = String(await server.command('CLUSTER', 'INFO'));
        const known = `cluster_known_nodes:${this.servers.length}`;
        if (!info.includes('cluster_state:ok') || !info.includes(known)) return false;
      }
      return true;
    }, 'the cluster is not whole');
  }

  /** As a crash would: SIGKILL to all of it. */
  async kill(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  /** Starts again what was killed, on the same ports, with what its disk has kept. */
  async restart(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.start()));
    if (this.isCluster) await this.isWhole();
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One process of redis-server. */
export class RedisServer {
  readonly port: number;
  /** Where it keeps its RDB and AOF files. */
  readonly folder: string;
  readonly #config: readonly string[];
  #child: ChildProcess | undefined = undefined;

  constructor(folder: string, port: number, config: readonly string[]) {
    this.folder = folder;
    this.port = port;
    this.#config = config;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it where it does not run; resolves once it answers. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    await mkdir(this.folder, { recursive: true });
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder];
    const child = spawn(redisServer ?? '', [...fixed, ...this.#config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    child.on('exit', () => {
      running.delete(child);
      if (this.#child === child) this.#child = undefined;
    });
    let said = '';
    const hear = (text: string): void => {
      said = (said + text).slice(-2_000);
    };
    child.on('error', (error) => hear(error.message));
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    await eventually(async () => {
      if (this.#child !== child) throw new Error(`redis-server has ended: ${said}`);
      try {
        return (await this.command('PING')) === 'PONG';
      } catch (error) {
        // With a password it answers too.
        return error instanceof Error && /NOAUTH|NOPERM/.test(error.message);
      }
    }, 'redis-server does not answer');
  }

  /** Sends one command on a connection of its own. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis(this.port, '127.0.0.1', {
      lazyConnect: true,
      retryStrategy: () => null,
      enableReadyCheck: false,
      disconnectTimeout: 100,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  /** Cuts all connections but its own: those of subscribers, of the others, or both. */
  async cutConnections(type?: 'normal' | 'pubsub'): Promise<void> {
    const types = type === undefined ? ['normal', 'pubsub'] : [type];
    for (const each of types) {
      await this.command('CLIENT', 'KILL', 'TYPE', each, 'SKIPME', 'yes');
    }
  }

  /** It takes connections and says nothing, until `resume`. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Copies what is on its disk to a folder, to be put back with `rollBack`. */
  async copyDisk(to: string): Promise<void> {
    await cp(this.folder, to, { recursive: true });
  }

  /** Ends it, and starts it with what its disk had when it was copied. */
  async rollBack(from: string): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
    await cp(from, this.folder, { recursive: true });
    await this.start();
  }
}

export async function eventually(
  isSo: () => boolean | Promise<boolean>,
  otherwise: string,
): Promise<void> {
  const until = performance.now() + READY_MS;
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error(otherwise);
    await sleep(20);
  }
}

/** Ports that nobody listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    return address.port;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
