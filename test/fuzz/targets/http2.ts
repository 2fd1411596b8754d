import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Peer } from '../../../dist/index.js';
import {
  DATA,
  END_STREAM,
  extendedConnect,
  GOAWAY,
  HEADERS,
  headerBlock,
  http2Frame,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  setting,
  uint32,
  WINDOW_UPDATE,
} from '../../faults/http2-frames.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  TEXT,
  PING as WS_PING,
} from '../../faults/raw-frames.ts';
import type { Random } from '../../random.ts';
import { concatBytes } from '../../reference-codec.ts';
import { attachApplication } from '../application.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';
import { turns } from '../wire.ts';

const END_HEADERS = 0x4;
/** Each is a turn of the event loop. */
const MAX_PIECES = 40;
const NOTHING = Buffer.alloc(0);
const frames = [
  clientFrame(TEXT, 'hello'),
  clientFrame(CLOSE, closePayload(1000)),
  clientFrame(WS_PING, 'x'),
];

/** What each peer that there was told the application; the target runs one at a time. */
let told = new Map<Peer<undefined>, string[]>();
let session: ServerHttp2Session | undefined;

const http = createServer();
http.on('session', (made) => {
  session = made;
  made.on('error', () => {});
});
attachApplication(http, (peer, kind, content) => {
  const what = kind === 'close' ? `close ${content.split(' ', 1)[0]}` : kind;
  const before = told.get(peer);
  if (before === undefined) told.set(peer, [what]);
  else before.push(what);
});

/** A request, right but for what the byte says. */
function request(choice: number): Buffer {
  const fields: Record<string, string> = {
    ...extendedConnect,
    ':path': ['/echo', '/slow', '/close', '/none'][choice & 3] ?? '',
  };
  switch (choice >> 4) {
    case 1:
      fields[':protocol'] = 'chess';
      break;
    case 2:
      fields['sec-websocket-version'] = '9';
      break;
    case 3:
      delete fields[':path'];
      break;
    case 4:
      delete fields[':protocol'];
      break;
    case 5:
      fields[':method'] = 'GET';
      break;
    case 6:
      fields['sec-websocket-extensions'] = 'permessage-deflate';
      break;
    default:
      break;
  }
  return headerBlock(fields);
}

/** Reads what is to be sent as pieces, each of which arrives in one turn. */
function piecesOf(input: Input): Buffer[] {
  const pieces: Buffer[][] = [[Buffer.from(PREFACE), http2Frame(SETTINGS, 0, 0, NOTHING)]];
  let streams = 0;
  const add = (frame: Buffer): void => void pieces.at(-1)?.push(frame);
  const stream = (): number => {
    const choice = input.byte();
    // Mostly one that there is; now and then none, or one that is to come.
    return choice >= 250 ? choice - 250 : streams === 0 ? 1 : 2 * (choice % streams) + 1;
  };
  while (!input.isAtEnd) {
    const kind = input.byte() % 12;
    switch (kind) {
      case 0:
      case 1: {
        const choice = input.byte();
        const flags = END_HEADERS | ((choice & 4) === 0 ? 0 : END_STREAM);
        add(http2Frame(HEADERS, flags, 2 * streams + 1, request(choice & 0xfb)));
        streams++;
        break;
      }
      case 2: {
        const id = stream();
        const flags = input.byte() & END_STREAM;
        add(http2Frame(DATA, flags, id, input.take(input.byte() & 63)));
        break;
      }
      case 3:
      case 4:
        add(http2Frame(DATA, 0, stream(), frames[input.byte() % frames.length] ?? NOTHING));
        break;
      case 5:
        add(http2Frame(RST_STREAM, 0, stream(), uint32(input.byte() % 14)));
        break;
      case 6:
        add(http2Frame(WINDOW_UPDATE, 0, stream(), uint32(input.byte() << (input.byte() & 23))));
        break;
      case 7:
        add(http2Frame(SETTINGS, 0, 0, setting(input.byte() % 10, input.byte() << 8)));
        break;
      case 8:
        add(http2Frame(PING, input.byte() & 1, 0, Buffer.alloc(8)));
        break;
      case 9:
        add(http2Frame(GOAWAY, 0, 0, Buffer.concat([uint32(stream()), uint32(input.byte() % 14)])));
        break;
      case 10:
        add(http2Frame(input.byte(), input.byte(), stream(), input.take(input.byte() & 63)));
        break;
      default:
        if (pieces.length < MAX_PIECES) pieces.push([]);
        break;
    }
  }
  return pieces.map((piece) => Buffer.concat(piece)).filter(({ length }) => length > 0);
}

/** Under a path of its own, so that no ports are used up. */
const path = join(mkdtempSync(join(tmpdir(), 'aperto-fuzz-')), 'http2');
let listening: Promise<unknown> | undefined;
process.on('exit', () => rmSync(dirname(path), { recursive: true, force: true }));

/** A real connection: over any other stream Node's HTTP/2 has faults of its own. */
async function dial(): Promise<Socket> {
  if (listening === undefined) {
    http.listen(path).unref();
    listening = once(http, 'listening');
  }
  await listening;
  const socket = connect(path);
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

export const http2: Target = {
  name: 'http2',
  invariant:
    'Whatever frames of HTTP/2 come, in whatever order and however many of them together, nothing is thrown, and each peer whose opening an application is told of has one end, and nothing after it.',
  async run(bytes) {
    told = new Map();
    session = undefined;
    const socket = await dial();
    for (const piece of piecesOf(new Input(bytes))) {
      if (!socket.destroyed) socket.write(piece);
      await turns(2);
    }
    await turns(4);
    socket.destroy();
    await turns(2);
    // Node 20 keeps a session that has failed, until somebody ends it.
    (session as ServerHttp2Session | undefined)?.destroy();
    await turns(4);
    const stories = [...told.values()].map((story) => story.join(' '));
    for (const story of stories) assert.match(story, /^open( message)* close \d+$/);
    const kinds = stories.map((story) => story.replace(/(?: message)+/, ' message'));
    return [...new Set(kinds)].sort().join(', ');
  },
  generate(random: Random) {
    const steps = Array.from({ length: 1 + random.below(12) }, () => {
      const kind = random.pick([0, 0, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 11]);
      return Uint8Array.of(kind, random.below(kind === 0 ? 128 : 6), ...random.bytes(2));
    });
    return concatBytes(...steps.map((step) => (step[0] === 0 ? step.subarray(0, 2) : step)));
  },
};
