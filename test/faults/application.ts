import assert from 'node:assert/strict';
import {
  type Limits,
  type Message,
  type Peer,
  type Route,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { localCertificate } from './certificate.ts';
import { dialStream } from './http2-stream.ts';
import { checkSwitched, dial, handshake, type RawRequest } from './raw-client.ts';
import { clientFrame, TEXT } from './raw-frames.ts';
import { type Head, type RawSocket, within } from './raw-socket.ts';
import { isEncrypted, isHttp2, type Transport } from './transport.ts';

/** What an application saw of a message, as one line; of a long one its length. */
export function shown(message: Message): string {
  if (message.length > 200)
    return `${typeof message === 'string' ? 'text' : 'binary'} (${message.length})`;
  return typeof message === 'string'
    ? `text ${message}`
    : `binary ${Buffer.from(message).toString('hex')}`;
}

export interface ApplicationOptions {
  /** Default TCP. */
  readonly over?: Transport;
  readonly limits?: Partial<Limits>;
  readonly hosts?: readonly string[];
  readonly request?: NonNullable<ServeOptions<undefined>['request']>;
  /** Over the route that records. What stands here is recorded no more, except `upgrade` and `open`. */
  readonly route?: Partial<Route<undefined>>;
}

/** A server whose route at any path echoes, and records what it is told. */
export class Application {
  readonly over: Transport;
  /** `upgrade`, `open`, `text …`, `binary …`, `ping …`, `pong …`, `close CODE`, in the order they came. */
  readonly events: string[] = [];
  readonly closes: { code: number; reason: string; errorCode: string | undefined }[] = [];
  /** What went to `onError`. A test that expects something takes it out. */
  readonly errors: unknown[] = [];
  readonly peers: Peer<undefined>[] = [];
  readonly #dialled: RawSocket[] = [];
  #server: Server<undefined> | undefined = undefined;
  readonly #waiting: (() => void)[] = [];
  #expected: readonly string[] | undefined = undefined;

  constructor(over: Transport) {
    this.over = over;
  }

  get server(): Server<undefined> {
    assert.ok(this.#server);
    return this.#server;
  }

  #changed(): void {
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  async start({ limits, hosts, request, route = {} }: ApplicationOptions): Promise<void> {
    const recorded: Route<undefined> = {
      message: (peer, message) => {
        this.record(shown(message));
        peer.send(message);
      },
      ping: (_, payload) => this.record(`ping ${Buffer.from(payload).toString('hex')}`),
      pong: (_, payload) => this.record(`pong ${Buffer.from(payload).toString('hex')}`),
      ...route,
      upgrade: (upgradeRequest) => {
        this.record('upgrade');
        return route.upgrade?.(upgradeRequest);
      },
      open: (peer) => {
        this.record('open');
        this.peers.push(peer);
        void peer.closed.then(({ code, reason, error }) => {
          this.closes.push({ code, reason, errorCode: error?.code });
        });
        return route.open?.(peer);
      },
      close: (peer, code, reason) => {
        this.record(`close ${code}`);
        return route.close?.(peer, code, reason);
      },
    };
    this.#server = await serve<undefined>({
      routes: {
        '*': recorded,
        '/alive': {
          message: (peer, message) => {
            peer.send(message);
          },
        },
      },
      onError: (error) => {
        this.errors.push(error);
        this.#changed();
      },
      ...(isEncrypted(this.over) ? { tls: await localCertificate() } : {}),
      ...(isHttp2(this.over) ? { http2: true } : {}),
      ...(limits === undefined ? {} : { limits }),
      ...(hosts === undefined ? {} : { hosts }),
      ...(request === undefined ? {} : { request }),
    });
  }

  record(event: string): void {
    this.events.push(event);
    this.#changed();
  }

  /** Waits until the condition holds; looked at after each event. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const happened = async (): Promise<void> => {
      while (!isSo()) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    };
    await within(() => `${what}; so far: ${this.events.slice(0, 20).join(', ')}`, happened());
  }

  /** All that the application saw, in order; also in the end, where nothing else is expected meanwhile. */
  async expectEvents(...events: string[]): Promise<void> {
    await this.until('as many events', () => this.events.length >= events.length);
    assert.deepEqual(this.events, events);
    this.#expected = events;
  }

  /** Begins to record anew. */
  forget(): void {
    this.events.length = 0;
    this.#expected = undefined;
  }

  /** What came after the events that were expected last was not wanted. */
  checkNothingElse(): void {
    if (this.#expected !== undefined) assert.deepEqual(this.events, this.#expected);
  }

  /** A connection without a handshake. */
  async dial(): Promise<RawSocket> {
    const raw = await dial(this.server.port, isEncrypted(this.over));
    this.#dialled.push(raw);
    return raw;
  }

  /** A connection, or a session and a stream of it, whose handshake was answered. */
  async shake(request: RawRequest = {}): Promise<{ raw: RawSocket; head: Head }> {
    if (isHttp2(this.over)) {
      const answered = await dialStream(this.server.port, isEncrypted(this.over), request);
      this.#dialled.push(answered.raw);
      return answered;
    }
    const raw = await this.dial();
    raw.write(handshake(request));
    return { raw, head: await raw.readHead() };
  }

  /** One that was accepted. */
  async open(request: RawRequest = {}): Promise<RawSocket> {
    const { raw, head } = await this.shake(request);
    if (isHttp2(this.over)) assert.equal(head.status, 200);
    else checkSwitched(head);
    return raw;
  }

  /** Whatever happened to others, who comes new is served. */
  async checkAlive(): Promise<void> {
    const raw = await this.open({ path: '/alive' });
    raw.write(clientFrame(TEXT, 'still there?'));
    await raw.expectFrame(TEXT, 'still there?');
    raw.destroy();
  }

  /** Closes the server: nothing is left then, or this fails. */
  async stop(): Promise<void> {
    for (const raw of this.#dialled) raw.destroy();
    // The time after which it would cut off is longer than we wait.
    await within('server.close()', this.server.close({ timeoutMs: 60_000 }));
    assert.equal(this.server.peers.size, 0);
  }
}

/** Starts a server, runs, and checks that it serves others still, told of no errors, and ends with nothing left. */
export async function withApplication(
  options: ApplicationOptions,
  run: (application: Application) => Promise<void>,
): Promise<void> {
  const application = new Application(options.over ?? 'TCP');
  await application.start(options);
  try {
    await run(application);
    await application.checkAlive();
    application.checkNothingElse();
    assert.deepEqual(application.errors, []);
    const closes = application.events.filter((event) => event.startsWith('close')).length;
    const opens = application.events.filter((event) => event === 'open').length;
    assert.ok(closes <= opens, 'a peer was closed more than once');
  } finally {
    await application.stop();
  }
  const opens = application.events.filter((event) => event === 'open').length;
  const closes = application.events.filter((event) => event.startsWith('close')).length;
  assert.equal(closes, opens, 'close once for each open');
}

/**
 * Sends bytes on a fresh connection that make the server close with `code`, told once to both sides.
 * @param messages what the application sees, and echoes, before.
 */
export async function expectFailure(
  application: Application,
  bytes: Uint8Array,
  code: number,
  messages: readonly string[] = [],
): Promise<void> {
  application.forget();
  const raw = await application.open();
  raw.write(bytes);
  for (const message of messages) {
    const { first, payload } = await raw.readFrame();
    assert.equal(shown(first === TEXT ? payload.toString() : payload), message);
  }
  await raw.expectClose(code);
  await raw.expectEnd();
  raw.end();
  await application.expectEvents('upgrade', 'open', ...messages, `close ${code}`);
}
