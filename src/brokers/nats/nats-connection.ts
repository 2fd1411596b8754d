import { apertoError } from '../../protocol/errors.ts';

/** What is used of a message that NATS delivers. */
export interface NatsMessage {
  readonly subject: string;
  readonly reply?: string;
  readonly data: Uint8Array;
  readonly headers?: { readonly code: number; readonly description: string };
}

interface NatsStatus {
  readonly type: string;
  readonly server?: string;
  readonly error?: unknown;
}

export interface NatsSubscription {
  unsubscribe(): void;
}

interface NatsRequest {
  readonly timeout: number;
  /** The client asks what it is given for nothing but `encode()`. */
  readonly headers?: object;
}

/** What is used of a connection of `@nats-io/transport-node`, or of another transport of `@nats-io/nats-core`. */
export interface NatsConnection {
  readonly info?: { readonly max_payload: number } | undefined;
  isClosed(): boolean;
  status(): AsyncIterable<NatsStatus>;
  publish(subject: string, payload?: Uint8Array): void;
  subscribe(
    subject: string,
    options: { callback(error: Error | null, message: NatsMessage): void },
  ): NatsSubscription;
  request(subject: string, payload?: Uint8Array, options?: NatsRequest): Promise<NatsMessage>;
  requestMany(
    subject: string,
    payload: Uint8Array,
    options: {
      readonly strategy: 'count';
      readonly maxMessages: number;
      readonly maxWait: number;
      readonly noMux: true;
    },
  ): Promise<AsyncIterable<NatsMessage>>;
  flush(): Promise<void>;
  /** Rejects at once while it is not connected. */
  rtt(): Promise<number>;
}

const methods = [
  'isClosed',
  'status',
  'publish',
  'subscribe',
  'request',
  'requestMany',
  'flush',
  'rtt',
] as const;

/** @throws {ApertoError} INVALID_OPTION */
export function checkConnection(connection: NatsConnection): NatsConnection {
  const missing = methods.find((name) => typeof connection?.[name] !== 'function');
  if (missing !== undefined) {
    const detail = `connection is what connect() of @nats-io/transport-node resolves to; it has no ${missing}()`;
    throw apertoError('INVALID_OPTION', { detail });
  }
  return connection;
}
