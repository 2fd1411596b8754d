import { headerSize, writeHeader } from '../frames/frame-writer.ts';
import { BINARY, TEXT } from '../opcodes.ts';
import type { Platform } from '../platform.ts';

/**
 * A message encoded once, for any number of peers: its frame as a server sends it, and where in it the
 * payload begins, for those who must mask.
 */
export class PreparedMessage {
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly payloadStart: number;

  constructor(data: string | Uint8Array, platform: Platform) {
    const isText = typeof data === 'string';
    const length = isText ? platform.utf8Length(data) : data.length;
    this.opcode = isText ? TEXT : BINARY;
    this.frame = platform.allocate(headerSize(length) + length);
    this.payloadStart = writeHeader(this.frame, 0, this.opcode, length, false);
    if (isText) platform.encodeUtf8(data, this.frame, this.payloadStart, length);
    else this.frame.set(data, this.payloadStart);
  }
}

/** The frames of several messages one behind the other, as a server sends them. */
export function joinFrames(messages: readonly PreparedMessage[], platform: Platform): Uint8Array {
  const [first] = messages;
  if (messages.length === 1 && first !== undefined) return first.frame;
  let size = 0;
  for (const message of messages) size += message.frame.length;
  const frames = platform.allocate(size);
  let at = 0;
  for (const message of messages) {
    frames.set(message.frame, at);
    at += message.frame.length;
  }
  return frames;
}
