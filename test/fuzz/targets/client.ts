import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApertoError, type ClientPeer, connect } from '../../../dist/index.js';
import { cutInto } from '../../protocol/splitting.ts';
import { concatBytes, decodeFrames } from '../../reference-codec.ts';
import { someFrames } from '../frame-stream.ts';
import { headerWords } from '../header-lines.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';
import { turn, Wire } from '../wire.ts';

/** RFC 6455 1.3. In an input it stands for the answer to the key that was sent, which is another each time. */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const RESPONSE =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Accept: ${ACCEPT}\r\n`;
const DEFLATE =
  'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n';
/** A piece takes a turn of the event loop. */
const MAX_PIECES = 40;
/** So long the promise may take to settle once the connection is gone. */
const MAX_TURNS = 50;

class WireAgent extends Agent {
  readonly wire: Wire = new Wire();

  override createConnection(): Duplex {
    return this.wire;
  }
}

interface Heard {
  /** What the application heard; the first is that it opened, or why not. */
  readonly told: readonly string[];
  readonly frames: readonly string[];
}

function framesOf(written: Buffer): string[] {
  const { frames, rest } = decodeFrames(written.subarray(written.indexOf('\r\n\r\n') + 4));
  assert.equal(rest.length, 0);
  const close = frames.findIndex(({ opcode }) => opcode === 8);
  assert.ok(close < 0 || close === frames.length - 1, 'a frame behind a close frame');
  return frames.map(({ fin, mask, opcode, reserved, payload }) => {
    assert.ok(fin && mask !== undefined && opcode !== 0);
    return `${opcode} ${reserved} ${Buffer.from(payload).toString('hex')}`;
  });
}

/** The same with the answer to the key that the request has, once: behind the head it would be a payload. */
function answering(stream: Uint8Array, written: Buffer): Buffer {
  const [, key = ''] = /^Sec-WebSocket-Key: (.*)\r$/im.exec(written.toString('latin1')) ?? [];
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return Buffer.from(Buffer.from(stream).toString('latin1').replace(ACCEPT, accept), 'latin1');
}

/** Lets a client connect to what the stream says. */
async function dial(
  stream: Uint8Array,
  cut: (bytes: Uint8Array) => Uint8Array[],
  compression: boolean,
): Promise<Heard> {
  const told: string[] = [];
  const agent = new WireAgent();
  const { wire } = agent;
  wire.on('error', () => {});
  const opening = connect('ws://example.com/', {
    agent,
    compression: compression && { threshold: 8 },
    protocols: ['chat'],
    limits: { maxMessageBytes: 1_000, maxFragments: 6 },
    message: (peer: ClientPeer, message) => {
      told.push(typeof message === 'string' ? message : Buffer.from(message).toString('hex'));
      peer.send(message);
    },
    close: (_peer, code, reason) => {
      told.push(`close ${code} ${reason}`);
    },
    onError: (error) => {
      throw error;
    },
  });
  let settled = false;
  const outcome = opening.then(
    ({ protocol }) => `open ${protocol}`,
    (error: unknown) => {
      assert.ok(error instanceof ApertoError, String(error));
      return error.code;
    },
  );
  void outcome.finally(() => {
    settled = true;
  });
  for (let turns = 0; wire.written.length === 0 && turns < MAX_TURNS; turns++) await turn();
  await wire.arrive(cut(answering(stream, wire.written)));
  for (let turns = 0; !settled && turns < MAX_TURNS; turns++) await turn();
  assert.ok(settled, 'neither open nor refused');
  agent.destroy();
  const first = await outcome;
  const isOpen = first.startsWith('open');
  return { told: [first, ...told], frames: isOpen ? framesOf(wire.written) : [] };
}

export const client: Target = {
  name: 'client',
  invariant:
    'Whatever a server answers, from the first byte of its response on, and however it is cut, connecting is refused with an error of ours or opens and is told of one end and of nothing after it, legal frames go out, and of what opens everything is the same.',
  words: [...headerWords, '\r\n', '\r\n\r\n', 'HTTP/1.1 200 OK\r\n', RESPONSE].map((word) =>
    typeof word === 'string' ? Uint8Array.from(Buffer.from(word)) : word,
  ),
  async run(bytes) {
    const input = new Input(bytes);
    const options = input.byte();
    const cuts = input.cuts();
    const compression = (options & 2) !== 0;
    const begin = (options & 1) === 0 ? '' : `${RESPONSE}${compression ? DEFLATE : ''}\r\n`;
    const stream = concatBytes(Buffer.from(begin), input.rest());
    const whole = await dial(stream, (all) => [all], compression);
    const [first = ''] = whole.told;
    if (first.startsWith('open')) {
      const ends = whole.told.filter((one) => one.startsWith('close ')).length;
      assert.equal(ends, 1);
      assert.ok(whole.told.at(-1)?.startsWith('close '));
    } else assert.equal(whole.told.length, 1);

    const pieces = (all: Uint8Array): Uint8Array[] => {
      const cut = cutInto(all, cuts.length > 0 ? cuts : [Math.ceil(all.length / 3)]);
      const few = [...cut.slice(0, MAX_PIECES), concatBytes(...cut.slice(MAX_PIECES))];
      return few.filter(({ length }) => length > 0);
    };
    const cut = await dial(stream, pieces, compression);
    // What node:http makes of what is no response depends on how it comes.
    if (first.startsWith('open') || cut.told[0]?.startsWith('open')) assert.deepEqual(cut, whole);
    return `${first} ${whole.told.length > 1 ? whole.told.at(-1) : ''}`;
  },
  generate(random) {
    const options = random.below(4) | 1;
    return concatBytes(
      [options, 2, ...random.bytes(2)],
      someFrames(random, false, (options & 2) !== 0),
    );
  },
};
