import assert from 'node:assert/strict';
import type { ClientPeer, ConnectOptions } from '../../dist/index.js';
import type { Application, ApplicationOptions } from './application.ts';
import { withClient } from './client.ts';
import type { RawSocket } from './raw-socket.ts';
import { isHttp2, type Transport } from './transport.ts';

export const OFFER = 'permessage-deflate; client_max_window_bits';
export const NO_TAKEOVER =
  'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** A connection to the application with this offer, and what was accepted of it. */
export async function offer(
  application: Application,
  ...offers: string[]
): Promise<{ raw: RawSocket; accepted: string | undefined }> {
  const { raw, head } = await application.shake({
    fields: { 'sec-websocket-extensions': offers },
  });
  assert.equal(head.status, isHttp2(application.over) ? 200 : 101);
  return { raw, accepted: head.get('sec-websocket-extensions') };
}

/** One that compression was agreed on for. */
export async function openCompressed(application: Application): Promise<RawSocket> {
  const { raw, accepted } = await offer(application, OFFER);
  assert.match(accepted ?? '', /^permessage-deflate/);
  return raw;
}

export const compressing: ApplicationOptions = { route: { compression: true } };
export const takingOver: ApplicationOptions = { route: { compression: { takeover: true } } };

/** A client that compresses, and how it ended, against a server by hand that accepts in these words. */
export async function withCompressing(
  accepted: string,
  answer: (raw: RawSocket) => Promise<void>,
  options: ConnectOptions = {},
  run: (peer: ClientPeer) => void = () => {},
  over: Transport = 'TCP',
): Promise<{ messages: string[]; errorCode: string | undefined }> {
  const fields = { 'sec-websocket-extensions': accepted };
  const { events, errorCode } = await withClient(over, answer, run, options, fields);
  return { messages: events.filter((event) => !event.startsWith('close')), errorCode };
}
