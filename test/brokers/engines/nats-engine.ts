import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { findProgram, skipWithout } from '../../installed-program.ts';

const READY_MS = 20_000;
const ATTEMPTS = 3;

const program = findProgram('nats-server', 'APERTO_NATS_SERVER');

/** Why there can be no test with NATS; false where there can. */
export const skipWithoutNats: string | false = skipWithout('nats-server', program);

interface NatsEngineOptions {
  /** Whether it has JetStream, kept in files. Default true. */
  readonly jetStream?: boolean;
  /** Lines of its configuration, such as `max_payload: 1024`. */
  readonly settings?: readonly string[];
}

/** A NATS server that runs as a process of its own, with its own folder. */
export class NatsEngine implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #connections: NatsConnection[] = [];
  #child: ChildProcess;
  #said = '';

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
    this.#child = this.#spawn();
  }

  /** Starts it on a free port; resolves once it answers. */
  static async start(options: NatsEngineOptions = {}): Promise<NatsEngine> {
    for (let attempt = 1; ; attempt++) {
      const folder = await mkdtemp(join(tmpdir(), 'aperto-nats-'));
      const port = await freePort();
      const lines = [`listen: "127.0.0.1:${port}"`, ...(options.settings ?? [])];
      if (options.jetStream !== false) {
        lines.push(
          `jetstream { store_dir: "${join(folder, 'store')}", max_mem: 64M, max_file: 1G }`,
        );
      }
      await writeFile(join(folder, 'nats.conf'), `${lines.join('\n')}\n`);
      const engine = new NatsEngine(port, folder);
      if (await engine.#answers()) return engine;
      await engine[Symbol.asyncDispose]();
      // Somebody else may have taken the port meanwhile.
      if (attempt === ATTEMPTS) throw new Error(`${program} did not start: ${engine.#said}`);
    }
  }

  #spawn(): ChildProcess {
    const child = spawn(program ?? '', ['-c', join(this.#folder, 'nats.conf')], {
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const onExit = (): boolean => child.kill('SIGKILL');
    process.on('exit', onExit);
    child.on('exit', () => process.off('exit', onExit));
    child.on('error', (error) => {
      this.#said += error.message;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-4_000);
    });
    return child;
  }

  /** A client of its own, which tries again quickly and for ever. It is closed with the engine. */
  async connect(options: NodeConnectionOptions = {}): Promise<NatsConnection> {
    const connection = await connect({
      servers: `127.0.0.1:${this.port}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 10,
      ...options,
    });
    this.#connections.push(connection);
    return connection;
  }

  /** Ends it at once, as a crash would. Its files stay. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Starts it again on the same port, with its files. */
  async restart(): Promise<void> {
    await this.kill();
    this.#child = this.#spawn();
    if (!(await this.#answers())) throw new Error(`${program} did not restart: ${this.#said}`);
  }

  /** Forgets what JetStream has kept. Only while it is killed, as the next two. */
  async deleteStore(): Promise<void> {
    await rm(join(this.#folder, 'store'), { recursive: true, force: true });
  }

  /** Keeps a copy of what JetStream has. */
  async backUp(): Promise<void> {
    await cp(join(this.#folder, 'store'), join(this.#folder, 'copy'), { recursive: true });
  }

  /** Brings what it had back: what came later is lost. */
  async rollBack(): Promise<void> {
    await this.deleteStore();
    await cp(join(this.#folder, 'copy'), join(this.#folder, 'store'), { recursive: true });
  }

  /** Stops it answering, without ending it. */
  async pause(): Promise<void> {
    this.#child.kill('SIGSTOP');
    // Other threads of it go on for a moment.
    const status = `/proc/${this.#child.pid}/status`;
    await until('stopped', async () => /^State:\s+T/m.test(await readFile(status, 'utf8')));
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Cuts every connection of its clients, as the network would; they can be made again at once. */
  async cutConnections(): Promise<void> {
    for (const connection of this.#connections) {
      if (!connection.isClosed()) insideOf(connection).transport.socket?.resetAndDestroy();
    }
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }

  /** Whether it greets before it ends or time is over. */
  async #answers(): Promise<boolean> {
    const until = performance.now() + READY_MS;
    while (!(await greets(this.port))) {
      if (this.#hasEnded || performance.now() > until) return false;
      await sleep(20);
    }
    return !this.#hasEnded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
    // Nothing is worth waiting for: the folder goes too.
    await this.#end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What is within a client, which it does not tell. */
interface Inside {
  readonly listeners: readonly unknown[];
  readonly subscriptions: { size(): number };
  /** Without a socket until it is connected again. */
  readonly transport: { readonly socket: Socket | undefined };
}

export function insideOf(connection: NatsConnection): Inside {
  const { protocol } = connection as NatsConnection & { readonly protocol: Inside };
  return protocol;
}

/** Resolves once `isSo`, or rejects after a while. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`never ${what}`);
    await sleep(5);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** Whether a server says INFO there. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.subarray(0, 4).toString() === 'INFO');
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
