import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { cutInto } from '../../protocol/splitting.ts';
import { concatBytes, decodeFrames } from '../../reference-codec.ts';
import { attachApplication } from '../application.ts';
import { someFrames } from '../frame-stream.ts';
import { headerWords } from '../header-lines.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';
import { Wire } from '../wire.ts';

const REQUEST =
  'GET /echo HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate\r\n';
/** A piece takes a turn of the event loop. */
const MAX_PIECES = 40;

interface Heard {
  /** What the application heard. */
  readonly told: readonly string[];
  readonly written: Buffer;
}

/** What the connection that is open told the application; the target runs one at a time. */
let told: string[] = [];

const http = createServer((_request, response) => {
  response.sendDate = false;
  response.end('no socket');
});
attachApplication(http, (_peer, kind, content) => {
  told.push(`${kind} ${content}`.trimEnd());
});

async function serve(pieces: readonly Uint8Array[]): Promise<Heard> {
  told = [];
  const wire = new Wire();
  wire.on('error', () => {});
  // How node:http is given a connection that it has not accepted itself.
  http.emit('connection', wire);
  await wire.arrive(pieces);
  return { told, written: wire.written };
}

/** What is behind the answer that switched protocols is whole frames, as a server sends them. */
function assertFrames(written: Buffer): void {
  const head = written.indexOf('HTTP/1.1 101');
  if (head < 0) return;
  const { frames, rest } = decodeFrames(written.subarray(written.indexOf('\r\n\r\n', head) + 4));
  assert.equal(rest.length, 0);
  const close = frames.findIndex(({ opcode }) => opcode === 8);
  assert.ok(close < 0 || close === frames.length - 1, 'a frame behind a close frame');
  for (const { fin, mask, opcode } of frames) assert.ok(fin && mask === undefined && opcode !== 0);
}

export const server: Target = {
  name: 'server',
  invariant:
    'Whatever a connection to a server brings, from the first byte of the request on, and however it is cut, the server goes on, an application that is told of an opening is told of one end and of nothing after it, legal frames go out, and of what reaches a route everything is the same.',
  words: [...headerWords, '\r\n', '\r\n\r\n', 'GET /slow HTTP/1.1\r\n', REQUEST].map((word) =>
    typeof word === 'string' ? Uint8Array.from(Buffer.from(word)) : word,
  ),
  async run(bytes) {
    const input = new Input(bytes);
    const options = input.byte();
    const cuts = input.cuts();
    const request = `${REQUEST}${(options & 2) === 0 ? '' : DEFLATE}\r\n`;
    const path = ['/echo', '/slow', '/close', '/none'][(options >> 2) & 3] ?? '/';
    const begin = (options & 1) === 0 ? '' : request.replace('/echo', path);
    const stream = concatBytes(Buffer.from(begin), input.rest());
    const whole = await serve([stream]);
    assertFrames(whole.written);
    const opened = whole.told.filter((one) => one === 'open').length;
    const ends = whole.told.filter((one) => one.startsWith('close ')).length;
    assert.equal(ends, opened);
    if (opened > 0) assert.ok(whole.told.at(-1)?.startsWith('close '));

    const pieces = cutInto(stream, cuts.length > 0 ? cuts : [Math.ceil(stream.length / 3)]);
    const few = [...pieces.slice(0, MAX_PIECES), concatBytes(...pieces.slice(MAX_PIECES))];
    const cut = await serve(few.filter(({ length }) => length > 0));
    // What node:http makes of what is no request depends on how it comes.
    if (opened > 0 || cut.told.length > 0) {
      assert.deepEqual(cut.told, whole.told);
      assert.equal(cut.written.toString('latin1'), whole.written.toString('latin1'));
    }
    const status = whole.written.toString('latin1', 9, 12);
    return `${status} ${opened > 0 ? whole.told.at(-1) : ''}`;
  },
  generate(random) {
    const options = random.below(16) | 1;
    return concatBytes(
      [options, 2, ...random.bytes(2)],
      someFrames(random, true, (options & 2) !== 0),
    );
  },
};
