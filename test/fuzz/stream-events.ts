import { nodeCompression } from '../../dist/node/compression/node-compression.js';
import type { CompressionSettings } from '../../dist/protocol/extensions/agreed-compression.js';
import { newCounters } from '../../dist/protocol/extensions/compression-counters.js';
import {
  type DeflateAgreement,
  resolveCompression,
} from '../../dist/protocol/extensions/permessage-deflate.js';
import { Harness, type Told } from '../protocol/connection-harness.ts';
import { type ReceivedEvent, referenceEvents } from '../reference-receiver.ts';

/** What a stream of frames comes to, in a form that two implementations can be compared in. */
export interface StreamEvent {
  readonly kind: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'failed';
  /** The payload in hexadecimal; of a close its code and reason; of a failure the close code. */
  readonly content: string;
  /** What the implementation calls the failure. */
  readonly name?: string;
}

export interface StreamLimits {
  readonly maxMessageBytes: number;
  readonly maxFragments: number;
}

function hex(bytes: string | Iterable<number>): string {
  return (typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from([...bytes])).toString('hex');
}

function eventsOf(told: Told): StreamEvent[] {
  if ('message' in told) {
    const { message } = told;
    return [{ kind: typeof message === 'string' ? 'text' : 'binary', content: hex(message) }];
  }
  if ('ping' in told) return [{ kind: 'ping', content: hex(told.ping) }];
  if ('pong' in told) return [{ kind: 'pong', content: hex(told.pong) }];
  if (!('end' in told)) return [];
  const { code, reason, error } = told.end;
  if (error === undefined) return [{ kind: 'close', content: `${code} ${hex(reason)}` }];
  return [{ kind: 'failed', content: String(code), name: error }];
}

function settingsOf(agreement: DeflateAgreement): CompressionSettings {
  const options = resolveCompression({ takeover: agreement.inflateTakeover });
  if (options === undefined) throw new TypeError('there is compression');
  return { agreement, options, port: nodeCompression, counters: newCounters() };
}

/** What a connection of ours makes of a stream. */
export function ourEvents(
  pieces: readonly Uint8Array[],
  isServer: boolean,
  limits: StreamLimits,
  agreement?: DeflateAgreement,
): StreamEvent[] {
  const harness = new Harness(
    isServer,
    { ...limits, controlFramesPerSecond: Number.POSITIVE_INFINITY },
    agreement && settingsOf(agreement),
  );
  for (const piece of pieces) {
    const bytes = piece.slice();
    for (let at = 0; at < bytes.length; ) at = harness.chunk(bytes, at, true);
  }
  if (harness.connection.state > 0) harness.connection.transportClosed();
  return harness.heard().flatMap(eventsOf);
}

function plainEvent(event: ReceivedEvent): StreamEvent {
  switch (event.type) {
    case 'text':
      return { kind: 'text', content: hex(event.text) };
    case 'close':
      return { kind: 'close', content: `${event.code} ${hex(event.reason)}` };
    case 'failed':
      return { kind: 'failed', content: String(event.code) };
    default:
      return { kind: event.type, content: hex(event.bytes) };
  }
}

/** What a plain reading of the whole frames of a stream makes of it. */
export function plainEvents(
  stream: Uint8Array,
  isServer: boolean,
  limits: StreamLimits,
): StreamEvent[] {
  return referenceEvents(stream, isServer, limits).map(plainEvent);
}
