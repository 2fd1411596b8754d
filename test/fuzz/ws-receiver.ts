import { Writable } from 'node:stream';
// The classes have no types of their own there.
import * as ws from 'ws';
import type { DeflateAgreement } from '../../dist/protocol/extensions/permessage-deflate.js';
import type { StreamEvent, StreamLimits } from './stream-events.ts';

function construct(name: 'Receiver' | 'PerMessageDeflate', options: object): object {
  const made: unknown = Reflect.get(ws, name);
  if (typeof made !== 'function') throw new TypeError(`ws has no ${name}`);
  const instance: unknown = Reflect.construct(made, [options]);
  if (typeof instance !== 'object' || instance === null) throw new TypeError(`no ${name}`);
  return instance;
}

function call(object: object, name: string, ...args: readonly unknown[]): void {
  const method: unknown = Reflect.get(object, name);
  if (typeof method !== 'function') throw new TypeError(`ws has no method ${name}`);
  Reflect.apply(method, object, args);
}

function hex(data: unknown): string {
  if (!(data instanceof Uint8Array)) throw new TypeError('bytes were expected');
  return Buffer.from(data).toString('hex');
}

function failure(error: unknown): StreamEvent {
  if (!(error instanceof Error)) throw new TypeError('an error was expected');
  const symbol = Object.getOwnPropertySymbols(error).find(
    ({ description }) => description === 'status-code',
  );
  const code: unknown = symbol && Reflect.get(error, symbol);
  const name: unknown = Reflect.get(error, 'code');
  return { kind: 'failed', content: String(code), name: String(name) };
}

/** As they name the parameters; both directions alike. */
function deflateOf(agreement: DeflateAgreement, isServer: boolean, maxPayload: number): object {
  const deflate = construct('PerMessageDeflate', { isServer, maxPayload });
  const parameters = agreement.inflateTakeover
    ? {}
    : { server_no_context_takeover: [true], client_no_context_takeover: [true] };
  call(deflate, 'accept', [parameters]);
  return deflate;
}

/** What `ws` makes of a stream. */
export async function theirEvents(
  pieces: readonly Uint8Array[],
  isServer: boolean,
  { maxMessageBytes, maxFragments }: StreamLimits,
  agreement?: DeflateAgreement,
): Promise<StreamEvent[]> {
  const deflate = agreement && deflateOf(agreement, isServer, maxMessageBytes);
  const receiver = construct('Receiver', {
    isServer,
    maxPayload: maxMessageBytes,
    maxFragments,
    extensions: deflate === undefined ? {} : { 'permessage-deflate': deflate },
  });
  if (!(receiver instanceof Writable)) throw new TypeError('their receiver is no stream');
  const events: StreamEvent[] = [];
  let isOver = false;
  const end = (event: StreamEvent): void => {
    if (!isOver) events.push(event);
    isOver = true;
  };
  receiver.on('message', (data: unknown, isBinary: unknown) => {
    events.push({ kind: isBinary === true ? 'binary' : 'text', content: hex(data) });
  });
  receiver.on('ping', (data: unknown) => events.push({ kind: 'ping', content: hex(data) }));
  receiver.on('pong', (data: unknown) => events.push({ kind: 'pong', content: hex(data) }));
  receiver.on('conclude', (code: unknown, reason: unknown) => {
    end({ kind: 'close', content: `${String(code)} ${hex(reason)}` });
  });
  receiver.on('error', (error) => end(failure(error)));
  for (const piece of pieces) {
    if (isOver) break;
    // Memory of its own: they unmask in place.
    await new Promise<void>((resolve) => {
      receiver.write(Buffer.from(piece), () => resolve());
    });
  }
  receiver.destroy();
  if (deflate !== undefined) call(deflate, 'cleanup');
  return events;
}
