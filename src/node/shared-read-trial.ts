import { once } from 'node:events';
import { connect, createServer, type OnReadOpts, type Server, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Puts a socket's connection into a new socket, which reads by `onread`; undefined where it cannot. */
export type MoveConnection = (socket: Socket, onread: OnReadOpts) => Socket | undefined;

/** A connection over loopback takes a millisecond or two. */
const TIMEOUT_MS = 1_000;
/** The time is counted in so many steps, so that a program that is busy meanwhile uses up one of them. */
const STEPS = 20;

/**
 * Whether `move` does on this runtime what the stream driver needs: one connection over loopback is moved,
 * read, paused, resumed, written to and ended from both sides. Never rejects.
 */
export async function passesTrial(
  move: MoveConnection,
  timeoutMs: number = TIMEOUT_MS,
): Promise<boolean> {
  const giveUp = new AbortController();
  let steps = 0;
  const timer = setInterval(() => {
    steps++;
    if (steps === STEPS) giveUp.abort();
  }, timeoutMs / STEPS);
  timer.unref();
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true });
  server.on('error', () => {});
  try {
    return await behaves(move, server, sockets, giveUp.signal);
  } catch {
    return false;
  } finally {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** As `once`. It may be given up before it is awaited, when another step has failed. */
function happens(emitter: Socket | Server, name: string, signal: AbortSignal): Promise<unknown[]> {
  const happened = once(emitter, name, { signal });
  happened.catch(() => {});
  return happened;
}

async function behaves(
  move: MoveConnection,
  server: Server,
  sockets: Socket[],
  signal: AbortSignal,
): Promise<boolean> {
  // In a worker of node:cluster, what is not exclusive is accepted for all workers together.
  server.listen({ port: 0, host: '127.0.0.1', exclusive: true });
  await happens(server, 'listening', signal);
  const address = server.address();
  if (typeof address !== 'object' || address === null) return false;
  const accepting = happens(server, 'connection', signal);
  const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  sockets.push(client);
  const [accepted] = await accepting;
  if (!(accepted instanceof Socket)) return false;
  sockets.push(accepted);

  const buffer = Buffer.alloc(16);
  const read: string[] = [];
  const moved = move(accepted, {
    buffer,
    callback(size, bytes) {
      // Into our buffer, and nowhere else.
      read.push(bytes === buffer ? buffer.toString('latin1', 0, size) : 'elsewhere');
      moved?.emit('trial');
      return true;
    },
  });
  if (moved === undefined) return false;
  moved.on('error', () => {});
  sockets.push(moved);
  moved.resume();

  const first = happens(moved, 'trial', signal);
  client.write('first');
  await first;
  moved.pause();
  const second = happens(moved, 'trial', signal);
  client.write('second');
  await nextTurn();
  await nextTurn();
  if (read.join() !== 'first') return false;
  moved.resume();
  await second;
  if (read.join() !== 'first,second') return false;

  const answered = happens(client, 'data', signal);
  moved.write('answer');
  const [answer] = await answered;
  if (String(answer) !== 'answer' || moved.writableLength !== 0) return false;

  const ends = [
    happens(moved, 'end', signal),
    happens(moved, 'close', signal),
    happens(client, 'close', signal),
    // It no longer counts a connection that it has not got.
    happens(server, 'close', signal),
  ];
  server.close();
  client.end();
  await ends[0];
  moved.end();
  await Promise.all(ends);
  return true;
}
