import {
  clearScreenDown,
  createInterface,
  cursorTo,
  type Interface,
  moveCursor,
} from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApertoError, type ClientPeer, connect as dial } from '../index.ts';
import { connectFailure } from './connect-failure.ts';
import { type ConnectCommandOptions, connectOptions } from './connect-options.ts';
import { type Happening, type TranscriptOptions, transcriptLine, visible } from './transcript.ts';

/** The codes of a clean close: normal, going away, none. */
const clean: ReadonlySet<number> = new Set([1000, 1001, 1005]);

/** `aperto connect`: a client in the terminal. Resolves to the exit code. */
export async function connect(args: readonly string[]): Promise<number> {
  const options = connectOptions(args);
  if (options === undefined) return 0;
  return new ConnectCommand(options).run();
}

class ConnectCommand {
  readonly #options: ConnectCommandOptions;
  readonly #transcript: TranscriptOptions;
  #onRoom: (() => void) | undefined = undefined;
  /** The line that a person is typing, at a terminal. */
  #typing: Interface | undefined = undefined;
  /** Whether the close was ours, so that its code is no surprise. */
  #closing = false;

  constructor(options: ConnectCommandOptions) {
    this.#options = options;
    const terminal = process.stdout.isTTY === true;
    this.#transcript = {
      json: options.json,
      terminal,
      color: terminal && (process.env['NO_COLOR'] ?? '') === '',
    };
  }

  async run(): Promise<number> {
    const { url } = this.#options;
    // Whoever reads our output may leave; then nothing is left to be told.
    process.stdout.on('error', () => process.exit(1));
    const peer = await this.#connect();
    this.#tell({ event: 'open', url, protocol: peer.protocol, extensions: peer.extensions });
    const onSignal = (): void => this.#close(peer, 1000);
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    const finished = this.#converse(peer);
    const { code, reason, error } = await peer.closed;
    this.#onRoom?.();
    this.#tell({ event: 'close', code, reason });
    await finished;
    if (clean.has(code) || (this.#closing && error === undefined)) return 0;
    const why = error?.message ?? reason;
    console.error(`aperto: closed with ${code}${why === '' ? '' : `: ${visible(why)}`}`);
    return 1;
  }

  async #connect(): Promise<ClientPeer> {
    try {
      return await dial(this.#options.url, {
        ...this.#options.connect,
        message: (_peer, data) => this.#tell({ event: 'message', data }),
        ping: (_peer, payload) => this.#tell({ event: 'ping', payload }),
        pong: (_peer, payload) => this.#tell({ event: 'pong', payload }),
        drain: () => this.#onRoom?.(),
      });
    } catch (error) {
      throw connectFailure(error);
    }
  }

  #tell(happening: Happening): void {
    const line = transcriptLine(happening, this.#transcript);
    if (line === undefined) return;
    const rows = this.#eraseTyping();
    // Readline goes up as many rows as the line had before it draws it again.
    process.stdout.write(`${line}\n${'\n'.repeat(rows)}`);
    this.#typing?.prompt(true);
  }

  /** Makes place for output where a half-typed line stands. Returns how many rows above the cursor it began. */
  #eraseTyping(): number {
    if (this.#typing === undefined) return 0;
    const { rows } = this.#typing.getCursorPos();
    moveCursor(process.stdout, 0, -rows);
    cursorTo(process.stdout, 0);
    clearScreenDown(process.stdout);
    return rows;
  }

  /** Sends what there is to send, waits, and closes. */
  async #converse(peer: ClientPeer): Promise<void> {
    const { execute, waitMs } = this.#options;
    if (execute === undefined) await this.#sendInput(peer);
    else for (const text of execute) await this.#send(peer, text);
    if (peer.state !== 'open') return;
    // A connection that ends meanwhile ends the waiting too.
    await sleep(waitMs, undefined, { signal: closedSignal(peer) }).catch(() => undefined);
    this.#close(peer, 1000);
  }

  #close(peer: ClientPeer, code: number, reason = ''): void {
    const wasOpen = peer.state === 'open';
    peer.close(code, reason);
    if (wasOpen) this.#closing = true;
  }

  async #sendInput(peer: ClientPeer): Promise<void> {
    const { stdin, stdout } = process;
    const lines =
      stdin.isTTY === true && stdout.isTTY === true
        ? this.#promptFor(peer)
        : createInterface({ input: stdin, terminal: false });
    peer.closed.then(() => {
      lines.close();
      stdin.destroy();
    });
    for await (const line of lines) {
      if (peer.state !== 'open') break;
      if (line.startsWith('/') && !line.startsWith('//')) this.#command(peer, line);
      else await this.#send(peer, line.startsWith('//') ? line.slice(1) : line);
      this.#typing?.prompt();
    }
  }

  #promptFor(peer: ClientPeer): Interface {
    const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' });
    // Readline takes Ctrl-C before it becomes a signal.
    lines.on('SIGINT', () => this.#close(peer, 1000));
    lines.once('close', () => {
      this.#eraseTyping();
      this.#typing = undefined;
    });
    this.#typing = lines;
    lines.prompt();
    return lines;
  }

  /** Sends, and waits while the server takes no more. */
  async #send(peer: ClientPeer, text: string): Promise<void> {
    const taken = peer.send(this.#options.binary ? Buffer.from(text) : text);
    if (taken || peer.state !== 'open') return;
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
    });
  }

  #command(peer: ClientPeer, line: string): void {
    const [name = '', ...words] = line.slice(1).split(' ');
    const rest = words.join(' ');
    try {
      if (name === 'ping') peer.ping(rest);
      else if (name === 'pong') peer.pong(rest);
      else if (name === 'close') {
        const [code = '', ...reason] = words;
        this.#close(peer, code === '' ? 1000 : Number(code), reason.join(' '));
      } else console.error(`aperto: no command /${name}; there are /ping, /pong and /close`);
    } catch (error) {
      if (!(error instanceof ApertoError)) throw error;
      console.error(`aperto: ${error.message}`);
    }
  }
}

function closedSignal(peer: ClientPeer): AbortSignal {
  const controller = new AbortController();
  peer.closed.then(() => controller.abort());
  return controller.signal;
}
