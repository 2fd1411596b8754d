import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from '../installed-program.ts';

const PREFIX = 'aperto-soak-';
/** RFC 2544's addresses, which nobody routes. */
const NETWORK = '198.18';
const program = findProgram('ip', 'APERTO_IP') ?? 'ip';
const run = promisify(execFile);

async function ip(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, [...args], { timeout: 10_000 });
  return stdout;
}

/** A network of two: this machine and a namespace that can be cut off, so that its packets are lost without a word. */
export class NetworkNamespace implements AsyncDisposable {
  readonly name: string;
  /** This machine's address in it. */
  readonly host: string;
  readonly #link: string;
  /** Also where this process ends by an exception. */
  readonly #onExit = (): void => void spawnSync(program, ['netns', 'delete', this.name]);

  private constructor(name: string, host: string, link: string) {
    this.name = name;
    this.host = host;
    this.#link = link;
    process.on('exit', this.#onExit);
  }

  /** @throws {Error} where that may not be, or there is no `ip`. */
  static async create(): Promise<NetworkNamespace> {
    await removeLeft();
    const id = process.pid;
    const name = `${PREFIX}${id}`;
    const link = `as${id}`.slice(0, 13);
    // A network for each process, as far as that goes.
    const network = `${NETWORK}.${id % 256}`;
    const made = new NetworkNamespace(name, `${network}.1`, link);
    await ip('netns', 'add', name);
    try {
      await ip(
        'link',
        'add',
        `${link}a`,
        'type',
        'veth',
        'peer',
        'name',
        `${link}b`,
        'netns',
        name,
      );
      await ip('address', 'add', `${network}.1/24`, 'dev', `${link}a`);
      await ip('link', 'set', `${link}a`, 'up');
      await ip('-n', name, 'address', 'add', `${network}.2/24`, 'dev', `${link}b`);
      await made.restore();
      return made;
    } catch (error) {
      await made.remove();
      throw error;
    }
  }

  /** From now on all packets are lost, in both directions. */
  async cutOff(): Promise<void> {
    await ip('-n', this.name, 'link', 'set', `${this.#link}b`, 'down');
  }

  async restore(): Promise<void> {
    await ip('-n', this.name, 'link', 'set', `${this.#link}b`, 'up');
  }

  /** What runs a command within. */
  get command(): readonly [string, ...string[]] {
    return [program, 'netns', 'exec', this.name];
  }

  /** The links go with it. */
  async remove(): Promise<void> {
    process.off('exit', this.#onExit);
    await ip('netns', 'delete', this.name).catch(() => {});
    await ip('link', 'delete', `${this.#link}a`).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}

/** Removes what soaks have left that were killed. */
async function removeLeft(): Promise<void> {
  for (const line of (await ip('netns', 'list')).split('\n')) {
    const [name = ''] = line.split(' ');
    const pid = Number(name.slice(PREFIX.length));
    if (!name.startsWith(PREFIX) || !(pid > 0) || isAlive(pid)) continue;
    await ip('netns', 'delete', name).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
