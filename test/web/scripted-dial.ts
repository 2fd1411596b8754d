import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ReconnectHandlers, ReconnectOptions } from '../../dist/web/reconnect-options.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import type {
  SimpleAttempt,
  SimpleDial,
  SimpleEnd,
  SimpleHandlers,
  SimpleLink,
} from '../../dist/web/simple-link.js';

/** Lets promises settle, and timers of no time strike. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A link whose other side the test plays. */
export class ScriptedLink implements SimpleLink {
  readonly protocol: string;
  isOpen = true;
  bufferedAmount = 0;
  /** Whether what is sent waits until `take`. */
  isSlow = false;
  readonly sent: (string | Uint8Array)[] = [];
  readonly calls: string[] = [];
  readonly #handlers: SimpleHandlers;

  constructor(protocol: string, handlers: SimpleHandlers) {
    this.protocol = protocol;
    this.#handlers = handlers;
  }

  send(data: string | Uint8Array): boolean {
    assert.ok(this.isOpen, 'a link that is not open is sent nothing');
    // As both links do, it copies.
    this.sent.push(typeof data === 'string' ? data : new Uint8Array(data));
    if (this.isSlow) this.bufferedAmount += 10;
    return !this.isSlow;
  }

  close(code: number, reason: string): void {
    this.calls.push(`close ${code} ${reason}`.trimEnd());
    this.isOpen = false;
  }

  terminate(): void {
    this.calls.push('terminate');
    this.end({ code: 1006, wasClean: false });
  }

  // --- What the network does

  receive(data: string | Uint8Array): void {
    this.#handlers.message(data);
  }

  /** Some of what waits is taken, by default all. */
  take(bytes: number = this.bufferedAmount): void {
    this.bufferedAmount -= bytes;
    this.#handlers.progress();
  }

  /** The connection is lost, or the closing handshake finished. */
  end(how: Partial<SimpleEnd> & { readonly error?: unknown } = {}): void {
    this.isOpen = false;
    this.bufferedAmount = 0;
    this.#handlers.closed({ code: 1000, reason: '', wasClean: true, ...how });
  }
}

interface Attempted {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly options: object;
  readonly signal: AbortSignal;
  /** The connection is made. */
  succeed(protocol?: string): ScriptedLink;
  fail(error: unknown): void;
}

/** Attempts that the test settles. */
export class ScriptedDial {
  readonly attempts: Attempted[] = [];

  readonly dial: SimpleDial<{ readonly headers?: object }> = (
    url,
    protocols,
    options,
  ): SimpleAttempt => {
    if (url.includes('misuse')) throw new Error(`misuse of ${url}`);
    return (handlers, signal) =>
      new Promise((resolve, reject) => {
        this.attempts.push({
          url,
          protocols,
          options,
          signal,
          succeed(protocol = '') {
            const link = new ScriptedLink(protocol, handlers);
            resolve(link);
            return link;
          },
          fail: reject,
        });
      });
  };

  get last(): Attempted {
    const last = this.attempts.at(-1);
    assert.ok(last !== undefined, 'there was no attempt');
    return last;
  }

  /** Makes the connection of the last attempt, and waits until the client knows of it. */
  async open(protocol?: string): Promise<ScriptedLink> {
    await settled();
    const link = this.last.succeed(protocol);
    await settled();
    return link;
  }

  /** Lets the last attempt fail, and waits until the client knows of it. */
  async fail(error: unknown = new Error('refused')): Promise<void> {
    await settled();
    this.last.fail(error);
    await settled();
  }
}

/** One line for each handler that was called: its name, the state at that time, and what it was told. */
class HandlerLog implements ReconnectHandlers {
  readonly lines: string[] = [];
  readonly errors: unknown[] = [];

  #note(client: ReconnectingClient, name: string, ...details: unknown[]): void {
    const state = client.state === name ? [] : [`(${client.state})`];
    this.lines.push([name, ...state, ...details].join(' '));
  }

  connecting(client: ReconnectingClient, attempt: number): void {
    this.#note(client, 'connecting', attempt);
  }
  open(client: ReconnectingClient): void {
    this.#note(client, 'open');
  }
  message(client: ReconnectingClient, data: string | Uint8Array): void {
    this.#note(client, 'message', data);
  }
  drain(client: ReconnectingClient): void {
    this.#note(client, 'drain');
  }
  waiting(
    client: ReconnectingClient,
    {
      attempt,
      delayMs,
      code,
      reason,
      error,
    }: Parameters<NonNullable<ReconnectHandlers['waiting']>>[1],
  ): void {
    const why = error instanceof Error ? [error.message] : [];
    this.#note(
      client,
      'waiting',
      attempt,
      delayMs,
      code,
      ...(reason === '' ? [] : [reason]),
      ...why,
    );
  }
  closing(client: ReconnectingClient): void {
    this.#note(client, 'closing');
  }
  closed(
    client: ReconnectingClient,
    { code, reason, error }: Parameters<NonNullable<ReconnectHandlers['closed']>>[1],
  ): void {
    const why = error instanceof Error ? [error.message] : [];
    this.#note(client, 'closed', code, ...(reason === '' ? [] : [reason]), ...why);
  }
  dropped(client: ReconnectingClient, data: string | Uint8Array): void {
    this.#note(client, 'dropped', data);
  }
  onError(error: unknown): void {
    this.errors.push(error);
  }

  /** What was noted since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

export interface Scripted {
  readonly network: ScriptedDial;
  readonly client: ReconnectingClient;
  readonly log: HandlerLog;
}

/** A client over a network that the test plays, with timers that it moves, and half of the longest delay. */
export function scripted(
  t: TestContext,
  options: ReconnectOptions = {},
  target: ConstructorParameters<typeof ReconnectingClient>[1] = 'ws://host/path',
  retryAfterMs?: (error: unknown) => number,
): Scripted {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(Math, 'random', () => 0.5);
  const network = new ScriptedDial();
  const log = new HandlerLog();
  const handlers: ReconnectOptions = Object.assign(log, options);
  const client = new ReconnectingClient(network.dial, target, handlers, retryAfterMs);
  t.after(() => {
    client.close();
    assert.deepEqual(log.errors, []);
  });
  return { network, client, log };
}
