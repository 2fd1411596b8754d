import { apertoError } from '../../protocol/errors.ts';
import { engineAway } from '../engine-away.ts';
import { checkConnection, type NatsConnection, type NatsMessage } from './nats-connection.ts';
import { asApertoError, NatsLink } from './nats-link.ts';

/** An answer of JetStream, as far as it is used; which of it there is depends on the request. */
export interface JetStreamReply {
  readonly error?: {
    readonly code?: number;
    readonly err_code?: number;
    readonly description?: string;
  };
  // Of a publication
  readonly seq?: number;
  readonly duplicate?: boolean;
  // Of a stream
  readonly config?: StreamConfig;
  readonly created?: string;
  readonly state?: {
    readonly first_seq: number;
    readonly last_seq: number;
    /** How many messages there are by subject, of those that were asked for. */
    readonly subjects?: Readonly<Record<string, number>>;
  };
  // Of a consumer
  readonly name?: string;
  readonly num_pending?: number;
  // Of a message
  readonly message?: {
    readonly subject: string;
    readonly seq: number;
    /** Base64; not there where it is empty. */
    readonly data?: string;
  };
}

export interface StreamConfig {
  readonly name: string;
  readonly description?: string;
  readonly subjects: readonly string[];
  readonly max_msgs_per_subject: number;
  /** In nanoseconds; 0 for ever. */
  readonly max_age: number;
  readonly duplicate_window?: number;
  readonly num_replicas?: number;
}

/** Errors that are answers. */
export const STREAM_NOT_FOUND = 10059;
export const STREAM_NAME_IN_USE = 10058;
export const MESSAGE_NOT_FOUND = 10037;
export const WRONG_LAST_SEQUENCE = 10071;
/** Of a server or a configuration that stays so: not enabled, for all or an account; invalid settings; no cluster. */
const MISCONFIGURED: readonly unknown[] = [10039, 10076, 10052, 10074];

export const NANOSECONDS = 1_000_000;

const REQUEST_MS = 5_000;
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** JetStream by its API over subjects, with nothing but a connection. */
export class JetStream {
  readonly #connection: NatsConnection;
  readonly #link: NatsLink;
  readonly #onUp: () => void;
  #started: Promise<void> | undefined = undefined;
  #hasAnswered = false;
  /** What is waited for, to be given up when the connection is lost: the client would wait on. */
  readonly #waiting = new Set<(error: unknown) => void>();

  /** @throws {ApertoError} INVALID_OPTION */
  constructor(connection: NatsConnection, onUp: () => void) {
    this.#connection = checkConnection(connection);
    this.#onUp = onUp;
    const listener = {
      up: () => this.#onUp(),
      down: (error: unknown) => this.#giveUp(error),
      failed: () => undefined,
    };
    // Every request has a time of its own.
    this.#link = new NatsLink(connection, listener, REQUEST_MS, false);
  }

  /** Whether the connection is known to be lost. */
  get isDown(): boolean {
    return this.#link.isDown;
  }

  /** Largest message that the server takes. */
  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.#link.stop();
    this.#giveUp(engineAway('closed'));
  }

  /**
   * Asks `$JS.API.` of something.
   * @param expected errors that the caller looks at
   */
  async api(
    name: string,
    body: object | undefined,
    ...expected: readonly number[]
  ): Promise<JetStreamReply> {
    const payload = body === undefined ? NOTHING : encoder.encode(JSON.stringify(body));
    const reply = await this.#ask(`$JS.API.${name}`, payload, undefined);
    if (reply !== undefined) return checked(reply, expected);
    if (this.#hasAnswered) throw engineAway('JetStream does not answer');
    throw apertoError('INVALID_OPTION', { detail: 'JetStream is not enabled on this NATS server' });
  }

  /** Stores a message; undefined where there is no stream for the subject. */
  async publish(
    subject: string,
    payload: Uint8Array,
    headers: Readonly<Record<string, string>>,
    ...expected: readonly number[]
  ): Promise<JetStreamReply | undefined> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head =
      lines.length === 0 ? undefined : encoder.encode(`NATS/1.0\r\n${lines.join('')}\r\n`);
    const size = payload.length + (head?.length ?? 0);
    if (size > this.maxPayload) {
      const detail = `${size} bytes; the server's max_payload is ${this.maxPayload}`;
      throw apertoError('MESSAGE_TOO_BIG', { detail });
    }
    const reply = await this.#ask(subject, payload, head);
    return reply && checked(reply, expected);
  }

  /** Undefined where nobody listens to the subject. */
  async #ask(
    subject: string,
    payload: Uint8Array,
    head: Uint8Array | undefined,
  ): Promise<JetStreamReply | undefined> {
    await this.#connected();
    const headers = head && { headers: { encode: () => head } };
    try {
      const asking = this.#connection.request(subject, payload, {
        timeout: REQUEST_MS,
        ...headers,
      });
      const { data } = await this.#untilDown(asking);
      this.#hasAnswered = true;
      return JSON.parse(decoder.decode(data));
    } catch (error) {
      if (isUnanswered(error)) return undefined;
      throw asApertoError(error);
    }
  }

  /**
   * Asks for messages, and hands them on until `take` returns false or none has come for a while.
   */
  async receive(
    name: string,
    body: object,
    most: number,
    take: (message: NatsMessage) => boolean,
  ): Promise<void> {
    await this.#connected();
    try {
      const asking = this.#connection.requestMany(
        `$JS.API.${name}`,
        encoder.encode(JSON.stringify(body)),
        // Messages come under their own subjects, which the client's inbox for all requests does not know. One more
        // than come, since the client takes a turn to the server to end by itself.
        { strategy: 'count', maxMessages: most + 1, maxWait: REQUEST_MS, noMux: true },
      );
      const messages = (await asking)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await this.#untilDown(messages.next());
          if (next.done === true) throw new Error('JetStream does not answer');
          if (!take(next.value)) return;
        }
      } finally {
        void messages.return?.().catch(() => undefined);
      }
    } catch (error) {
      throw asApertoError(error);
    }
  }

  async #connected(): Promise<void> {
    this.#started ??= this.#link.start();
    await this.#started;
    // The client would keep what it is asked until it is connected, without a limit.
    if (!this.#link.isUp) throw engineAway('NATS is not connected');
  }

  #untilDown<T>(waiting: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      waiting.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  #giveUp(error: unknown): void {
    for (const reject of this.#waiting) reject(error);
  }
}

/** @throws {ApertoError} for an error that is not expected. */
function checked(reply: JetStreamReply, expected: readonly number[]): JetStreamReply {
  const { error } = reply;
  if (error === undefined || expected.includes(error.err_code ?? 0)) return reply;
  const detail = `JetStream: ${error.description}`;
  const { code = 500 } = error;
  // Not found is what was there a moment ago.
  const isAway = (code >= 500 || code === 404) && !MISCONFIGURED.includes(error.err_code);
  throw apertoError(isAway ? 'ENGINE_AWAY' : 'INVALID_OPTION', { detail });
}

/** Whether the server says that nobody listens to what was asked. */
function isUnanswered(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name.startsWith('NoResponders') || isUnanswered(error.cause);
}
