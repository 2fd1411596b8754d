import { apertoError } from './errors.ts';

/**
 * What a peer may use of us. Each is a whole number above zero, or `Infinity` for none.
 * Sizes are bytes, times milliseconds.
 */
export interface Limits {
  /** Largest message, and so largest frame. Over it: 1009. Default 1 MiB. */
  readonly maxMessageBytes: number;
  /**
   * What a compressed message may inflate to, as a multiple of its size; the first 64 KiB are free. Over it:
   * 1009. Default 200.
   */
  readonly maxInflationRatio: number;
  /** Most frames of one message. Over it: 1008. Default 1,024. */
  readonly maxFragments: number;
  /**
   * Bytes that unfinished messages of the whole process may hold, each fragment at least 64; it is the connection that
   * asks for more that gets 1013. Default 256 MiB.
   */
  readonly maxUnfinishedBytes: number;
  /** Time for a message from its first byte to its last. Over it: 1008. Default 30 s. */
  readonly messageTimeoutMs: number;
  /** Time for the opening handshake. Default 10 s. */
  readonly handshakeTimeoutMs: number;
  /** Largest head of a request or response. Default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Most headers of a request. Default 100. */
  readonly maxHeaders: number;
  /** Most connections at a time over one of HTTP/2 (RFC 9113 5.1.2). Default 100. */
  readonly maxStreams: number;
  /** A server's connections at a time. More are refused with 503. Default `Infinity`. */
  readonly maxConnections: number;
  /** Those of one address; of IPv6, those of a network of 64 bits. Default `Infinity`. */
  readonly maxConnectionsPerAddress: number;
  /** Messages a second that a peer may send, in the long run. Over it: 1008. Default `Infinity`. */
  readonly messagesPerSecond: number;
  /** Messages that it may send at once, where there is such a rate. Default 100. */
  readonly messageBurst: number;
  /** Silence after which a ping is sent, give or take a fifth. Default 25 s. */
  readonly pingAfterMs: number;
  /** Silence after that ping until the peer counts as dead. Default 20 s. */
  readonly pingTimeoutMs: number;
  /** Time for the closing handshake. Default 5 s. */
  readonly closeTimeoutMs: number;
  /** Unsent bytes above which `send` returns false. Default 64 KiB. */
  readonly highWaterMarkBytes: number;
  /** Unsent bytes above which the route's policy for slow peers holds. Default 1 MiB. */
  readonly maxBufferedBytes: number;
  /** Topics that a peer may be subscribed to. Over it, `subscribe` throws. Default 1,024. */
  readonly maxTopics: number;
  /** Characters of a topic's name, as JavaScript counts them. Default 256. */
  readonly maxTopicLength: number;
  /** Time in which a peer must take something of what waits for it. Default 30 s. */
  readonly stallTimeoutMs: number;
  /** Control frames a second that a peer may send, in the long run. Over it: 1008. Default 50. */
  readonly controlFramesPerSecond: number;
  /** Control frames that it may send at once. Default 100. */
  readonly controlFrameBurst: number;
}

export const defaultLimits: Limits = {
  maxMessageBytes: 1024 * 1024,
  maxInflationRatio: 200,
  maxFragments: 1024,
  maxUnfinishedBytes: 256 * 1024 * 1024,
  messageTimeoutMs: 30_000,
  handshakeTimeoutMs: 10_000,
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
  maxStreams: 100,
  maxConnections: Number.POSITIVE_INFINITY,
  maxConnectionsPerAddress: Number.POSITIVE_INFINITY,
  messagesPerSecond: Number.POSITIVE_INFINITY,
  messageBurst: 100,
  pingAfterMs: 25_000,
  pingTimeoutMs: 20_000,
  closeTimeoutMs: 5_000,
  highWaterMarkBytes: 64 * 1024,
  maxBufferedBytes: 1024 * 1024,
  maxTopics: 1024,
  maxTopicLength: 256,
  stallTimeoutMs: 30_000,
  controlFramesPerSecond: 50,
  controlFrameBurst: 100,
};

/**
 * The longest that a message of so many bytes becomes where it is compressed, and that one is taken to have
 * become: deflate spends at most nine bits on a byte where it does not store it (RFC 1951 3.2.6), and some
 * for each block.
 */
export function maxCompressedBytes(messageBytes: number): number {
  return messageBytes + Math.ceil(messageBytes / 8) + Math.ceil(messageBytes / 64) + 64;
}

/**
 * The limits with what the application set laid over them.
 * @throws {ApertoError} INVALID_OPTION for an unknown name or a value that is not a whole number above
 * zero or `Infinity`. Nothing is coerced: `2 ** 32 | 0` is 0, and 0 must not come to mean unlimited.
 */
export function resolveLimits(given: Partial<Limits> = {}, base: Limits = defaultLimits): Limits {
  if (typeof given !== 'object' || given === null) {
    throw apertoError('INVALID_OPTION', { detail: `limits is an object, not ${String(given)}` });
  }
  const limits = { ...base };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(defaultLimits, name)) {
      throw apertoError('INVALID_OPTION', { detail: `there is no limit named ${name}` });
    }
    const whole = Number.isSafeInteger(value) && value > 0;
    if (!whole && value !== Number.POSITIVE_INFINITY) {
      throw apertoError('INVALID_OPTION', {
        detail: `limits.${name} is ${String(value)}, not a whole number above zero or Infinity`,
      });
    }
    limits[name as keyof Limits] = value;
  }
  return limits;
}
