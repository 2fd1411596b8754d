import { apertoError } from '../errors.ts';
import type { Extension } from './extension-header.ts';

/** What an application may say about compression. */
export interface CompressionOptions {
  /**
   * Whether messages may refer to those before them, in both directions: smaller, but for memory of each
   * connection's own. Holds where the peer agrees. Default false.
   */
  takeover?: boolean;
  /** We compress with a window of `2 ** windowBits` bytes at most; 9 to 15. Default 15. */
  windowBits?: number;
  /** The same for the peer, which is asked to; 8 to 15. Default 15. */
  peerWindowBits?: number;
  /** Effort, 1 to 9. Default 1. */
  level?: number;
  /** Memory for compressing, 1 to 9. Default 8. */
  memLevel?: number;
  /** Messages of fewer bytes are not compressed; a whole number from 0 on. Default 1,024. */
  threshold?: number;
}

export type ResolvedCompression = Readonly<Required<CompressionOptions>>;

const defaults: ResolvedCompression = {
  takeover: false,
  windowBits: 15,
  peerWindowBits: 15,
  level: 1,
  memLevel: 8,
  threshold: 1024,
};

/**
 * The options with the defaults where nothing is said: all of them for `true`. Undefined for `false`.
 * @throws {ApertoError} INVALID_OPTION for an unknown name and a value that is not as described; nothing is
 * coerced.
 */
export function resolveCompression(
  given: boolean | CompressionOptions,
): ResolvedCompression | undefined {
  if (given === false) return undefined;
  if (given === true) return defaults;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw apertoError('INVALID_OPTION', {
      detail: 'compression is true, false or an object of options',
    });
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(defaults, name)) continue;
    throw apertoError('INVALID_OPTION', { detail: `compression has no option ${name}` });
  }
  const { takeover = defaults.takeover } = given;
  if (typeof takeover !== 'boolean') {
    throw apertoError('INVALID_OPTION', {
      detail: `compression.takeover is true or false, not ${String(takeover)}`,
    });
  }
  return {
    takeover,
    // zlib has no raw deflate with 8: Node uses 9 for it without a word.
    windowBits: whole(given, 'windowBits', 9, 15),
    peerWindowBits: whole(given, 'peerWindowBits', 8, 15),
    level: whole(given, 'level', 1, 9),
    memLevel: whole(given, 'memLevel', 1, 9),
    threshold: whole(given, 'threshold', 0, Number.MAX_SAFE_INTEGER),
  };
}

function whole(
  given: CompressionOptions,
  name: Exclude<keyof CompressionOptions, 'takeover'>,
  least: number,
  most: number,
): number {
  const { [name]: value = defaults[name] } = given;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw apertoError('INVALID_OPTION', {
    detail: `compression.${name} is ${least} to ${most}, whole, not ${String(value)}`,
  });
}

/** What two sides agreed on, seen from one of them. */
export interface DeflateAgreement {
  /** Whether our messages may refer to earlier ones of ours. */
  readonly deflateTakeover: boolean;
  /** We compress with a window of `2 ** deflateWindowBits` bytes at most; 8 to 15. zlib cannot do 8: then we compress nothing. */
  readonly deflateWindowBits: number;
  /** Whether the peer's messages may refer to earlier ones of its own. */
  readonly inflateTakeover: boolean;
  /** The peer compresses with a window of `2 ** inflateWindowBits` bytes at most; 8 to 15. */
  readonly inflateWindowBits: number;
}

// Compared exactly, as browsers do. RFC 6455 2.1 defines a comparison without regard to case, and 4.1 and 4.2
// say where it is used: for `websocket` and `Upgrade`, not for extensions. RFC 7692 adds nothing to that.
const NAME = 'permessage-deflate';
const SERVER_NO_TAKEOVER = 'server_no_context_takeover';
const CLIENT_NO_TAKEOVER = 'client_no_context_takeover';
const SERVER_WINDOW_BITS = 'server_max_window_bits';
const CLIENT_WINDOW_BITS = 'client_max_window_bits';

/** RFC 7692 7.1.2: the largest window, and what holds where none is named. */
const MAX_WINDOW_BITS = 15;

/** The parameters that are there, with the window bits of those that have some. */
type BitsByName = ReadonlyMap<string, number>;

const NO_BITS = 0;

/**
 * RFC 7692 7: undefined where a parameter is unknown, comes twice or has a value that it must not have.
 * `bareBits` is what `client_max_window_bits` without a value stands for, if it may stand so.
 */
function readParameters(
  { params }: Extension,
  bareBits: number | undefined,
): BitsByName | undefined {
  // Never holds more than four, whatever the input.
  const read = new Map<string, number>();
  for (const [name, value] of params) {
    const bits = readParameter(name, value, bareBits);
    if (bits === undefined || read.has(name)) return undefined;
    read.set(name, bits);
  }
  return read;
}

function readParameter(
  name: string,
  value: string | undefined,
  bareBits: number | undefined,
): number | undefined {
  switch (name) {
    // RFC 7692 7.1.1.1, 7.1.1.2: these have no value.
    case SERVER_NO_TAKEOVER:
    case CLIENT_NO_TAKEOVER:
      return value === undefined ? NO_BITS : undefined;
    // RFC 7692 7.1.2.1: has a value, in an offer and in a response.
    case SERVER_WINDOW_BITS:
      return value === undefined ? undefined : readWindowBits(value);
    // RFC 7692 7.1.2.2: may lack the value in an offer, not in a response.
    case CLIENT_WINDOW_BITS:
      return value === undefined ? bareBits : readWindowBits(value);
    default:
      return undefined;
  }
}

/** RFC 7692 7.1.2.1, 7.1.2.2: a decimal integer of 8 to 15 without leading zeros. */
function readWindowBits(value: string): number | undefined {
  return /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : undefined;
}

function writeExtension(parameters: readonly string[]): string {
  return [NAME, ...parameters].join('; ');
}

/** What a server takes of what it was offered. */
export interface AcceptedOffer {
  readonly agreement: DeflateAgreement;
  /** The value of Sec-WebSocket-Extensions that tells the client. */
  readonly response: string;
}

/** Server: the first acceptable offer; undefined where there is none, which declines. */
export function acceptOffers(
  offers: readonly Extension[],
  options: ResolvedCompression,
): AcceptedOffer | undefined {
  // RFC 7692 5: the client names what it likes best first, and may offer the same extension several times.
  for (const offer of offers) {
    // RFC 6455 9.1: what the server does not know it does not accept.
    if (offer.name !== NAME) continue;
    const accepted = acceptOffer(offer, options);
    if (accepted !== undefined) return accepted;
  }
  return undefined;
}

function acceptOffer(offer: Extension, options: ResolvedCompression): AcceptedOffer | undefined {
  const offered = readParameters(offer, MAX_WINDOW_BITS);
  // RFC 7692 7: such an offer must be declined.
  if (offered === undefined) return undefined;
  const ownBits = offered.get(SERVER_WINDOW_BITS);
  // RFC 7692 7.1.2.1: accepting means to honour it, which raw deflate of zlib cannot with 8.
  if (ownBits === 8) return undefined;
  const peerBits = offered.get(CLIENT_WINDOW_BITS);
  const agreement: DeflateAgreement = {
    // RFC 7692 7.1.1.1: where the client asks for no takeover it gets it, and the server may choose it unasked.
    deflateTakeover: options.takeover && !offered.has(SERVER_NO_TAKEOVER),
    deflateWindowBits: Math.min(ownBits ?? MAX_WINDOW_BITS, options.windowBits),
    // RFC 7692 7.1.1.2: the server may ask for it unasked; a hint of the client lets us drop the context.
    inflateTakeover: options.takeover && !offered.has(CLIENT_NO_TAKEOVER),
    // RFC 7692 7.1.2.2: a client that does not offer this parameter cannot be asked for a smaller window.
    inflateWindowBits:
      peerBits === undefined ? MAX_WINDOW_BITS : Math.min(peerBits, options.peerWindowBits),
  };
  const parameters: string[] = [];
  if (!agreement.deflateTakeover) parameters.push(SERVER_NO_TAKEOVER);
  if (!agreement.inflateTakeover) parameters.push(CLIENT_NO_TAKEOVER);
  // RFC 7692 7.1.2.1: accepted with the same or a smaller value.
  if (ownBits !== undefined) {
    parameters.push(`${SERVER_WINDOW_BITS}=${agreement.deflateWindowBits}`);
  }
  // RFC 7692 7.1.2.2: left out it means the largest window.
  if (agreement.inflateWindowBits < MAX_WINDOW_BITS) {
    parameters.push(`${CLIENT_WINDOW_BITS}=${agreement.inflateWindowBits}`);
  }
  return { agreement, response: writeExtension(parameters) };
}

/** Client: the value of Sec-WebSocket-Extensions to offer. */
export function deflateOffer(options: ResolvedCompression): string {
  const parameters: string[] = [];
  // RFC 7692 7.1.1.1 asks, 7.1.1.2 is a hint: we do not take over in any case.
  if (!options.takeover) parameters.push(SERVER_NO_TAKEOVER, CLIENT_NO_TAKEOVER);
  // RFC 7692 7.1.2.2: says that we would obey it; a value, that we use no larger window in any case.
  parameters.push(
    options.windowBits < MAX_WINDOW_BITS
      ? `${CLIENT_WINDOW_BITS}=${options.windowBits}`
      : CLIENT_WINDOW_BITS,
  );
  // RFC 7692 7.1.2.1: a server that cannot keep to it declines, so it is not asked for without need.
  if (options.peerWindowBits < MAX_WINDOW_BITS) {
    parameters.push(`${SERVER_WINDOW_BITS}=${options.peerWindowBits}`);
  }
  return writeExtension(parameters);
}

/**
 * Client: what the extensions in the server's response make of the offer of `deflateOffer`. Undefined where
 * nothing was accepted; RESPONSE_EXTENSION where the connection must fail.
 */
export function checkAccepted(
  accepted: readonly Extension[],
  options: ResolvedCompression,
): DeflateAgreement | undefined | 'RESPONSE_EXTENSION' {
  if (accepted.length === 0) return undefined;
  // RFC 6455 4.1, response (5): no extension that was not offered, and we offer one, once.
  if (accepted.length > 1 || accepted[0].name !== NAME) return 'RESPONSE_EXTENSION';
  const agreed = readParameters(accepted[0], undefined);
  // RFC 7692 7: such a response must fail the connection.
  if (agreed === undefined) return 'RESPONSE_EXTENSION';
  // RFC 7692 7.1.1.1: accepting our offer includes the parameter, which may come unasked too.
  const inflateTakeover = !agreed.has(SERVER_NO_TAKEOVER);
  if (inflateTakeover && !options.takeover) return 'RESPONSE_EXTENSION';
  // RFC 7692 7.1.2.1: likewise, with the same or a smaller value.
  const inflateWindowBits = agreed.get(SERVER_WINDOW_BITS) ?? MAX_WINDOW_BITS;
  if (inflateWindowBits > options.peerWindowBits) return 'RESPONSE_EXTENSION';
  // RFC 7692 7.1.2.2: the same or a smaller value than ours. We always offer the parameter, so it may be there.
  const deflateWindowBits = agreed.get(CLIENT_WINDOW_BITS) ?? options.windowBits;
  if (deflateWindowBits > options.windowBits) return 'RESPONSE_EXTENSION';
  return {
    // RFC 7692 7.1.1.2: obeyed, also where we gave no hint of it.
    deflateTakeover: options.takeover && !agreed.has(CLIENT_NO_TAKEOVER),
    deflateWindowBits,
    inflateTakeover,
    inflateWindowBits,
  };
}
