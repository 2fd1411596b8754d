import { ApertoError } from '../../protocol/aperto-error.ts';
import { engineAway } from '../engine-away.ts';
import type { NatsConnection } from './nats-connection.ts';

interface LinkListener {
  /** Connected, for the first time or again. */
  up(): void;
  down(error: ApertoError): void;
  /** The server says that something was wrong; what, is not told of each message. */
  failed(error: unknown): void;
}

type LinkState = 'unknown' | 'up' | 'down' | 'stopped';

/** Follows whether a connection is connected. */
export class NatsLink {
  readonly #connection: NatsConnection;
  readonly #listener: LinkListener;
  readonly #silenceMs: number;
  readonly #watches: boolean;
  #state: LinkState = 'unknown';
  /** Whether it is down because the server was silent, and not because the connection was lost. */
  #isSilent = false;
  #isAsking = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #stopListening: (() => void) | undefined = undefined;

  /**
   * @param silenceMs how long the server may take to answer
   * @param watches whether it is asked again and again: the client by itself asks every two minutes
   */
  constructor(
    connection: NatsConnection,
    listener: LinkListener,
    silenceMs: number,
    watches: boolean,
  ) {
    this.#connection = connection;
    this.#listener = listener;
    this.#silenceMs = silenceMs;
    this.#watches = watches;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  get isDown(): boolean {
    return this.#state === 'down';
  }

  /** Resolves once `up` or `down` was told. */
  async start(): Promise<void> {
    if (this.#connection.isClosed()) {
      this.#down('it is closed for good');
      return;
    }
    const statuses = this.#connection.status();
    // Its iterator alone cannot be ended while it waits, and would stay with the connection.
    this.#stopListening = () => {
      if ('stop' in statuses && typeof statuses.stop === 'function') statuses.stop();
    };
    void this.#follow(statuses);
    if (this.#watches) {
      this.#timer = setInterval(() => void this.#ask(), this.#silenceMs / 2).unref();
    }
    await this.#ask();
  }

  /** Resolves once the server has answered, or it has not for too long. */
  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        if (this.#state !== 'down') this.#down('the server does not answer', true);
        resolve();
      }, this.#silenceMs).unref();
      const answered = (error?: unknown): void => {
        clearTimeout(timer);
        this.#isAsking = false;
        // Late, it is an answer all the same: to a connection that was lost meanwhile there is none.
        if (error === undefined && (this.#state === 'unknown' || this.#isSilent)) this.#up();
        else if (this.#state === 'unknown') this.#down(error);
        resolve();
      };
      this.#connection.rtt().then(() => answered(), answered);
    });
  }

  /** Tells nothing more. */
  stop(): void {
    this.#state = 'stopped';
    this.#isSilent = false;
    clearInterval(this.#timer);
    this.#stopListening?.();
  }

  async #follow(statuses: ReturnType<NatsConnection['status']>): Promise<void> {
    try {
      for await (const status of statuses) {
        if (this.#state === 'stopped') return;
        if (status.type === 'reconnect') this.#up();
        else if (status.type === 'error') this.#listener.failed(status.error);
        else if (status.type === 'disconnect') this.#down(`${status.server} is disconnected`);
        else if (status.type === 'staleConnection') this.#down('the server does not answer');
      }
    } catch (error) {
      this.#listener.failed(error);
    }
    // The statuses end when the connection is closed, which no reconnect follows.
    if (this.#state !== 'stopped') this.#down('it is closed for good');
  }

  #up(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'up';
    this.#isSilent = false;
    this.#listener.up();
  }

  #down(error: unknown, isSilent = false): void {
    if (this.#state === 'stopped') return;
    this.#state = 'down';
    this.#isSilent = isSilent;
    this.#listener.down(engineAway(error));
  }
}

/** What goes to whoever asked: an error of ours as it is, one of the client as ENGINE_AWAY. */
export function asApertoError(error: unknown): ApertoError {
  return error instanceof ApertoError ? error : engineAway(error);
}
