import assert from 'node:assert/strict';
import { type ClientPeer, connect } from '../../dist/index.js';
import { CLOSE, closeCodeOf } from './raw-frames.ts';
import { switching, withRawServer } from './raw-server.ts';
import { type RawSocket, within } from './raw-socket.ts';

/** A client of ours against a server by hand; `events` are what its handlers were told. */
export async function withClient(
  tls: boolean,
  answer: (raw: RawSocket) => Promise<void>,
  run: (peer: ClientPeer) => void | Promise<void>,
  limits: { readonly closeTimeoutMs?: number } = {},
): Promise<{ events: string[]; errorCode: string | undefined }> {
  const events: string[] = [];
  let errorCode: string | undefined;
  await withRawServer(
    {
      tls,
      async answer(raw, request) {
        raw.write(switching(request));
        await answer(raw);
      },
    },
    async (url) => {
      const peer = await connect(url, {
        limits,
        ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
        message: (_, message) => void events.push(`message ${message}`),
        close: (_, code) => void events.push(`close ${code}`),
      });
      await run(peer);
      errorCode = (await within('the end', peer.closed)).error?.code;
    },
  );
  return { events, errorCode };
}

/** Reads the client's close frame; returns its code. */
export async function readClose(raw: RawSocket): Promise<number | undefined> {
  const frame = await raw.readFrame();
  assert.equal(frame.first, CLOSE);
  assert.equal(frame.isMasked, true);
  return closeCodeOf(frame.payload);
}
