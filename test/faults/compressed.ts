import assert from 'node:assert/strict';
import { type ClientPeer, type ConnectOptions, connect } from '../../dist/index.js';
import { type Application, type ApplicationOptions, shown } from './application.ts';
import { handshake } from './raw-client.ts';
import { switching, withRawServer } from './raw-server.ts';
import { type RawSocket, within } from './raw-socket.ts';

export const OFFER = 'permessage-deflate; client_max_window_bits';
export const NO_TAKEOVER =
  'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** A connection to the application with this offer, and what was accepted of it. */
export async function offer(
  application: Application,
  ...offers: string[]
): Promise<{ raw: RawSocket; accepted: string | undefined }> {
  const raw = await application.dial();
  raw.write(handshake({ fields: { 'sec-websocket-extensions': offers } }));
  const head = await raw.readHead();
  assert.equal(head.status, 101);
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
): Promise<{ messages: string[]; errorCode: string | undefined }> {
  const messages: string[] = [];
  let errorCode: string | undefined;
  await withRawServer(
    {
      async answer(raw, request) {
        raw.write(switching(request, { 'sec-websocket-extensions': accepted }));
        await answer(raw);
      },
    },
    async (url) => {
      const peer = await connect(url, {
        ...options,
        message: (_, message) => void messages.push(shown(message)),
      });
      run(peer);
      errorCode = (await within('the end', peer.closed)).error?.code;
    },
  );
  return { messages, errorCode };
}
