/**
 * What a frame's header may say. Each rule judges as few bytes as it needs, so that a frame that must
 * fail does so with the first byte or length that shows it. Reading the bytes is frame-parser.ts's business.
 */
import type { ErrorCode } from '../errors.ts';
import { BINARY, CLOSE, CONTINUATION, CONTROL_BIT, PING, PONG, TEXT } from '../opcodes.ts';

export const FIN = 0x80;
const RESERVED = 0x70;
/** On the first frame of a message: it is compressed (RFC 7692 6). */
export const RSV1 = 0x40;
export const OPCODE = 0x0f;
export const MASKED = 0x80;
export const LENGTH = 0x7f;

/** The length field's values that say that 16 or 64 bits of length follow (RFC 6455 5.2). */
export const LENGTH_16 = 126;
export const LENGTH_64 = 127;

/** The longest payload of a control frame, and the longest that needs no further length bytes. */
export const MAX_CONTROL_PAYLOAD = 125;

/**
 * Judges FIN, the reserved bits and the opcode.
 * @param messageOpen whether a fragmented message is unfinished.
 * @param mayBeCompressed whether permessage-deflate was agreed on.
 */
export function firstByteError(
  first: number,
  messageOpen: boolean,
  mayBeCompressed: boolean,
): ErrorCode | undefined {
  // RFC 6455 5.2: RSV1 to RSV3 must be 0 unless an extension gives them a meaning.
  const reserved = first & RESERVED;
  if (reserved !== 0 && !(reserved === RSV1 && mayBeCompressed && beginsMessage(first))) {
    return 'RESERVED_BITS';
  }
  switch (first & OPCODE) {
    case TEXT:
    case BINARY:
      // RFC 6455 5.4: the fragments of one message must not be interleaved with those of another.
      return messageOpen ? 'MESSAGE_INTERLEAVED' : undefined;
    case CONTINUATION:
      // RFC 6455 5.4: a continuation follows a frame with FIN clear.
      return messageOpen ? undefined : 'CONTINUATION_UNEXPECTED';
    case CLOSE:
    case PING:
    case PONG:
      // RFC 6455 5.5: control frames must not be fragmented.
      return (first & FIN) === 0 ? 'CONTROL_FRAGMENTED' : undefined;
    default:
      // RFC 6455 5.2: an unknown opcode fails the connection.
      return 'RESERVED_OPCODE';
  }
}

/** RFC 7692 6.1: RSV1 belongs on the first frame of a message, and on no control frame. */
function beginsMessage(first: number): boolean {
  return (first & CONTROL_BIT) === 0 && (first & OPCODE) !== CONTINUATION;
}

/** Judges MASK and the length field of the second byte. */
export function secondByteError(
  first: number,
  second: number,
  mustBeMasked: boolean,
): ErrorCode | undefined {
  // RFC 6455 5.1: a client must mask all frames, a server none.
  if (((second & MASKED) !== 0) !== mustBeMasked) {
    return mustBeMasked ? 'MASK_MISSING' : 'MASK_FORBIDDEN';
  }
  // RFC 6455 5.5: a control frame carries at most 125 bytes.
  if ((first & CONTROL_BIT) !== 0 && (second & LENGTH) > MAX_CONTROL_PAYLOAD) {
    return 'CONTROL_TOO_LONG';
  }
  return undefined;
}

/** Judges a 16-bit length. */
export function length16Error(length: number): ErrorCode | undefined {
  // RFC 6455 5.2: the minimal number of bytes must be used to encode the length.
  return length < LENGTH_16 ? 'LENGTH_NOT_MINIMAL' : undefined;
}

/** Judges a 64-bit length, given as its upper and lower 32 bits, unsigned. */
export function length64Error(upper: number, lower: number): ErrorCode | undefined {
  // RFC 6455 5.2: the most significant bit of a 64-bit length must be 0.
  if (upper >= 0x8000_0000) return 'LENGTH_MOST_SIGNIFICANT_BIT';
  // RFC 6455 5.2: the minimal number of bytes must be used to encode the length.
  if (upper === 0 && lower < 0x1_0000) return 'LENGTH_NOT_MINIMAL';
  // From 2^53 on a number no longer holds the length exactly, and no message is that long.
  return upper >= 0x20_0000 ? 'MESSAGE_TOO_BIG' : undefined;
}
