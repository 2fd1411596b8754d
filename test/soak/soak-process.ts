import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process of the soak, with a channel for messages. It ends with this one. */
export class SoakProcess<From extends { readonly type: string }, To extends object>
  implements AsyncDisposable
{
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiting = new Set<{
    type: string;
    resolve(message: From): void;
    reject(error: Error): void;
  }>();
  #end: string | undefined = undefined;
  #isExpected = false;
  #said = '';

  /**
   * @param name of the module, without `-process.js`.
   * @param onMessage what it tells, besides what is waited for.
   * @param onDeath it ended without having been asked to.
   * @param before what runs the command.
   */
  constructor(
    name: string,
    asked: object,
    onMessage: (message: From) => void,
    onDeath: (why: string) => void,
    before: readonly string[] = [],
  ) {
    this.name = name;
    const module = fileURLToPath(new URL(`./${name}-process.js`, import.meta.url));
    const [file = '', ...args] = [...before, process.execPath, module, JSON.stringify(asked)];
    this.#child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    // Also where this process ends by an exception, and one that is stopped.
    const onExit = (): boolean => this.#child.kill('SIGKILL');
    process.on('exit', onExit);
    const hear = (text: string): void => {
      this.#said = (this.#said + text).slice(-2_000);
    };
    this.#child.stdout?.setEncoding('utf8').on('data', hear);
    this.#child.stderr?.setEncoding('utf8').on('data', hear);
    this.#child.on('message', (message: From) => {
      onMessage(message);
      for (const waiting of this.#waiting) {
        if (waiting.type !== message.type) continue;
        this.#waiting.delete(waiting);
        waiting.resolve(message);
      }
    });
    this.#exited = new Promise((resolve) => {
      const end = (why: string): void => {
        if (this.#end !== undefined) return;
        process.off('exit', onExit);
        this.#end = `the ${name} process ${why} ${this.#said.trim()}`.trim();
        if (!this.#isExpected) onDeath(this.#end);
        for (const waiting of this.#waiting) waiting.reject(new Error(this.#end));
        this.#waiting.clear();
        resolve();
      };
      this.#child.on('error', (error) => end(`failed: ${error.message}`));
      this.#child.on('close', (code, signal) => end(`ended with ${signal ?? code}:`));
    });
  }

  get exited(): Promise<void> {
    return this.#exited;
  }

  tell(message: To): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** The next message of that type. Rejects where it ends before. */
  next<T extends From['type']>(type: T): Promise<Extract<From, { type: T }>> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(new Error(this.#end));
        return;
      }
      const isWanted = (message: From): message is Extract<From, { type: T }> =>
        message.type === type;
      this.#waiting.add({
        type,
        resolve: (message) => {
          if (isWanted(message)) resolve(message);
        },
        reject,
      });
    });
  }

  /** From now on it may end. */
  expectEnd(): void {
    this.#isExpected = true;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isExpected = true;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
