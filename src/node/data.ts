import { isWireCloseCode } from '../protocol/close-codes.ts';
import { apertoError } from '../protocol/errors.ts';
import { MAX_CONTROL_PAYLOAD } from '../protocol/frames/frame-rules.ts';
import { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import { nodePlatform } from './node-platform.ts';

/**
 * What can be sent: a string as text, bytes as binary. Bytes must not be changed until `bufferedAmount`
 * is 0 again: large ones are not copied.
 */
export type Sendable = string | ArrayBuffer | ArrayBufferView | PreparedMessage;

/** A close frame's payload is at most 125 bytes, two of them the code (RFC 6455 5.5.1). */
const MAX_REASON = MAX_CONTROL_PAYLOAD - 2;

/** @throws {ApertoError} INVALID_DATA for what is neither bytes nor, elsewhere dealt with, a string. */
export function toBytes(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  const type = data === null ? 'null' : typeof data;
  throw apertoError('INVALID_DATA', { detail: `got ${type}` });
}

/** @throws {ApertoError} INVALID_DATA for what cannot be sent: misuse is told also where nothing is sent. */
export function checkSendable(data: Sendable): void {
  if (typeof data !== 'string' && !(data instanceof PreparedMessage)) toBytes(data);
}

function encode(text: string): Uint8Array {
  const bytes = new Uint8Array(nodePlatform.utf8Length(text));
  nodePlatform.encodeUtf8(text, bytes, 0);
  return bytes;
}

/** @throws {ApertoError} INVALID_DATA, or INVALID_CONTROL_PAYLOAD over 125 bytes (RFC 6455 5.5). */
export function encodeControlPayload(payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === 'string' ? encode(payload) : toBytes(payload);
  if (bytes.length > MAX_CONTROL_PAYLOAD) {
    throw apertoError('INVALID_CONTROL_PAYLOAD', { detail: `${bytes.length} bytes` });
  }
  return bytes;
}

/**
 * The reason as UTF-8.
 * @throws {ApertoError} INVALID_CLOSE_CODE, INVALID_CLOSE_REASON (RFC 6455 7.4, 5.5.1).
 */
export function encodeCloseReason(code: number | undefined, reason: string): Uint8Array {
  if (code !== undefined && !isWireCloseCode(code)) {
    throw apertoError('INVALID_CLOSE_CODE', { detail: String(code) });
  }
  if (typeof reason !== 'string') throw apertoError('INVALID_CLOSE_REASON');
  const bytes = encode(reason);
  if (bytes.length > MAX_REASON || (bytes.length > 0 && code === undefined)) {
    throw apertoError('INVALID_CLOSE_REASON', { detail: `${bytes.length} bytes` });
  }
  return bytes;
}

export interface SendOptions {
  /**
   * Whether the message may be compressed, where that was agreed on with the peer and it is long enough.
   * False for what compression cannot make shorter, such as images, and for secrets beside what others
   * can choose (BREACH). Default true.
   */
  readonly compress?: boolean;
}

/**
 * Encodes a message once, for sending it to any number of peers. It is compressed once too for all peers
 * that agreed on the same parameters.
 * @throws {ApertoError} INVALID_DATA
 */
export function prepareMessage(
  data: string | ArrayBuffer | ArrayBufferView,
  { compress = true }: SendOptions = {},
): PreparedMessage {
  return encodeMessage(data, compress, false);
}

/** As `prepareMessage`; `isBrief` says that it is sent at once and then forgotten. */
export function encodeMessage(
  data: string | ArrayBuffer | ArrayBufferView,
  compress: boolean,
  isBrief: boolean,
): PreparedMessage {
  const content = typeof data === 'string' ? data : toBytes(data);
  return PreparedMessage.encode(content, nodePlatform, compress, isBrief);
}
