import assert from 'node:assert/strict';
import { type ClientPeer, type ConnectOptions, connect } from '../../dist/index.js';
import { shown } from './application.ts';
import { CLOSE, closeCodeOf } from './raw-frames.ts';
import { switching, withRawServer } from './raw-server.ts';
import { type Head, type RawSocket, within } from './raw-socket.ts';
import { withRawStreamServer } from './raw-stream-server.ts';
import { isEncrypted, isHttp2, type Transport } from './transport.ts';

/** How a client ended that a server by hand spoke to. */
export interface ClientEnd {
  /** What its handlers were told. */
  readonly events: string[];
  readonly errorCode: string | undefined;
}

/**
 * A client of ours against a server by hand, which has granted the connection when `answer` is called.
 * @param fields what the response has beyond what it must have.
 */
export async function withClient(
  over: Transport,
  answer: (raw: RawSocket) => Promise<void>,
  run: (peer: ClientPeer) => void | Promise<void> = () => {},
  options: ConnectOptions = {},
  fields: Readonly<Record<string, string>> = {},
): Promise<ClientEnd> {
  const events: string[] = [];
  let errorCode: string | undefined;
  const meet = async (url: string): Promise<void> => {
    const peer = await connect(url, {
      ...(isEncrypted(over) ? { tls: { rejectUnauthorized: false } } : {}),
      http2: isHttp2(over),
      message: (_, message) => void events.push(shown(message)),
      close: (_, code) => void events.push(`close ${code}`),
      ...options,
    });
    assert.equal(peer.transport, isHttp2(over) ? 'h2' : 'http/1.1');
    await run(peer);
    errorCode = (await within('the end', peer.closed)).error?.code;
  };
  const tls = isEncrypted(over);
  if (isHttp2(over)) await withRawStreamServer(tls, fields, answer, meet);
  else {
    const switchAndAnswer = async (raw: RawSocket, request: Head): Promise<void> => {
      raw.write(switching(request, fields));
      await answer(raw);
    };
    await withRawServer({ tls, answer: switchAndAnswer }, meet);
  }
  return { events, errorCode };
}

/** Reads the client's close frame; returns its code. */
export async function readClose(raw: RawSocket): Promise<number | undefined> {
  const frame = await raw.readFrame();
  assert.equal(frame.first, CLOSE);
  assert.equal(frame.isMasked, true);
  return closeCodeOf(frame.payload);
}
