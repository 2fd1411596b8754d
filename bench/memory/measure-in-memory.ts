import { randomBytes } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { asked, Meter, tell } from '../measured-program.ts';
import { clientFrames, serverFrameBytes } from './client-frames.ts';
import { MemorySocket } from './memory-socket.ts';

/** A library's side of a connection: tells each message's length, and sends a text. */
export type Accept = (
  request: IncomingMessage,
  socket: MemorySocket,
  onMessage: (length: number) => void,
) => Promise<(text: string) => void>;

/** What libuv reads at most at once. */
const CHUNK_BYTES = 64 * 1024;
/** Chunks of a turn of the event loop, so that there is more than turns to measure. */
const CHUNKS_A_TURN = 4;
const SENDS_A_TURN = 16;

/** Measures what the program's argument names, `parse` or `write`, on one connection in memory. */
export async function measureInMemory(accept: Accept): Promise<void> {
  const { what, size, durationMs, warmUpMs } = asked();
  const socket = new MemorySocket();
  socket.on('error', (error) => console.error(error));
  socket.on('close', () => {
    console.error('the connection was lost');
    process.exit(1);
  });
  const meter = new Meter();
  const send = await accept(upgradeRequest(), socket, (length) => {
    meter.messages++;
    if (length !== size) meter.wrong++;
  });
  const step = what === 'parse' ? parsing(socket, size, meter) : writing(socket, send, size, meter);
  await repeat(step, warmUpMs);
  meter.start();
  await repeat(step, durationMs);
  tell(meter.read());
}

async function repeat(step: () => Promise<void>, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await step();
}

function parsing(socket: MemorySocket, size: number, meter: Meter): () => Promise<void> {
  const { bytes, count } = clientFrames(size, CHUNK_BYTES);
  return async () => {
    const due = meter.messages + CHUNKS_A_TURN * count;
    for (let pushed = 0; pushed < CHUNKS_A_TURN; pushed++) {
      // Some libraries unmask in place: each chunk is a fresh copy, as from a socket.
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        socket.push(Buffer.from(bytes.subarray(at, at + CHUNK_BYTES)));
      }
    }
    while (meter.messages < due) await turn();
  };
}

function writing(
  socket: MemorySocket,
  send: (text: string) => void,
  size: number,
  meter: Meter,
): () => Promise<void> {
  const text = 'aperto '.repeat(size).slice(0, size);
  const frameBytes = serverFrameBytes(size);
  return async () => {
    const due = socket.bytesWritten + SENDS_A_TURN * frameBytes;
    for (let sent = 0; sent < SENDS_A_TURN; sent++) send(text);
    do await turn();
    while (socket.bytesWritten < due);
    meter.messages += SENDS_A_TURN;
    if (socket.bytesWritten > due) meter.wrong++;
  };
}

/** The opening handshake of a client, as an HTTP server hands it over. */
function upgradeRequest(): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  request.url = '/';
  request.httpVersion = '1.1';
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  const fields = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
  };
  for (const [name, value] of Object.entries(fields)) {
    request.rawHeaders.push(name, value);
    request.headers[name.toLowerCase()] = value;
  }
  return request;
}

export const NO_HEAD: Buffer = Buffer.alloc(0);
