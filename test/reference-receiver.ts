/**
 * What an endpoint must make of a stream of whole frames, told from RFC 6455 in the plainest way and
 * sharing nothing with src/protocol. Only the last frame may be cut off or wrong.
 */
import { type DecodedFrame, decodeFrames, decodeUtf8 } from './reference-codec.ts';

export type ReceivedEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'binary'; readonly bytes: readonly number[] }
  | { readonly type: 'ping'; readonly bytes: readonly number[] }
  | { readonly type: 'pong'; readonly bytes: readonly number[] }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'failed'; readonly code: number };

export interface ReferenceLimits {
  readonly maxMessageBytes: number;
  readonly maxFragments: number;
}

const failed = (code: number): ReceivedEvent => ({ type: 'failed', code });

export function referenceEvents(
  stream: Uint8Array,
  isServer: boolean,
  limits: ReferenceLimits,
): ReceivedEvent[] {
  const events: ReceivedEvent[] = [];
  let fragments: DecodedFrame[] = [];
  for (const frame of decodeFrames(stream).frames) {
    const wrong = illegal(frame, isServer, fragments.length > 0);
    if (wrong) return [...events, failed(1002)];
    if (frame.opcode >= 8) {
      const event = controlEvent(frame);
      events.push(event);
      if (event.type === 'close' || event.type === 'failed') return events;
      continue;
    }
    fragments = [...fragments, frame];
    const bytes = fragments.flatMap((fragment) => [...fragment.payload]);
    // 10.4: limits.
    if (bytes.length > limits.maxMessageBytes) return [...events, failed(1009)];
    if (fragments.length > limits.maxFragments) return [...events, failed(1008)];
    const isText = (fragments[0] as DecodedFrame).opcode === 1;
    const decoded = isText ? decodeUtf8(Uint8Array.from(bytes)) : { text: '' };
    // 8.1: text is UTF-8; a sequence may go on in the next fragment, but not beyond the last.
    if (decoded === 'malformed') return [...events, failed(1007)];
    if (!frame.fin) continue;
    if (decoded === 'unfinished') return [...events, failed(1007)];
    events.push(isText ? { type: 'text', text: decoded.text } : { type: 'binary', bytes });
    fragments = [];
  }
  return events;
}

function illegal(frame: DecodedFrame, isServer: boolean, messageOpen: boolean): boolean {
  // 5.2: no extension, no reserved bits; these opcodes and no others.
  if (frame.reserved !== 0) return true;
  if (![0, 1, 2, 8, 9, 10].includes(frame.opcode)) return true;
  // 5.1: the client masks, the server does not.
  if ((frame.mask !== undefined) !== isServer) return true;
  // 5.2: the shortest form of the length.
  if (frame.lengthBits === 16 && frame.payload.length < 126) return true;
  if (frame.lengthBits === 64 && frame.payload.length < 65536) return true;
  // 5.5: control frames are whole and short.
  if (frame.opcode >= 8) return !frame.fin || frame.payload.length > 125;
  // 5.4: a continuation goes on with a message that is open, and nothing else may.
  return (frame.opcode === 0) !== messageOpen;
}

function controlEvent(frame: DecodedFrame): ReceivedEvent {
  const bytes = [...frame.payload];
  if (frame.opcode === 9) return { type: 'ping', bytes };
  if (frame.opcode === 10) return { type: 'pong', bytes };
  // 7.1.5: no code is 1005.
  if (bytes.length === 0) return { type: 'close', code: 1005, reason: '' };
  if (bytes.length === 1) return failed(1002);
  const code = (bytes[0] as number) * 256 + (bytes[1] as number);
  // 7.4: which codes may stand in a frame; 1012 to 1014 are the registry's.
  const allowed = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  if (!allowed.includes(code) && !(code >= 3000 && code <= 4999)) return failed(1002);
  const reason = decodeUtf8(frame.payload.slice(2));
  if (typeof reason === 'string') return failed(1007);
  return { type: 'close', code, reason: reason.text };
}
