import { type OnReadOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { apertoError } from '../protocol/errors.ts';
import { passesTrial } from './shared-read-trial.ts';

/**
 * Reading without an allocation: one buffer for all sockets of the process, which is free again when the
 * callback returns. Node offers that as `onread` for sockets that one makes (documented), not for those
 * that it accepted or handed over after an upgrade; their `handle` is put into a new socket (not
 * documented). So it is tried out before it is used, and where it does not work sockets are read by
 * 'data', as all other streams are.
 */

/** What libuv reads at most at once. */
const SIZE = 64 * 1024;

const shared = Buffer.allocUnsafeSlow(SIZE);

let works = false;
let trial: Promise<void> | undefined;

/** Finds out, once a process, whether it works here. Until then `takeOver` leaves all sockets as they are. */
export function trySharedReads(): Promise<void> {
  trial ??= passesTrial(moveConnection).then((passed) => {
    works = passed;
  });
  return trial;
}

/** @throws {ApertoError} INVALID_OPTION for what is no boolean. */
export function checkSharedReadBuffer(value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw apertoError('INVALID_OPTION', {
    detail: `sharedReadBuffer is true or false, not ${String(value)}`,
  });
}

/** How sockets are read that were taken over: `onRead` is given `bytes[0, size)`, valid during the call. */
export function sharedReading(
  onRead: (this: Socket, bytes: Uint8Array, size: number) => void,
): OnReadOpts {
  return {
    buffer: shared,
    callback(this: Socket, size: number, bytes: Uint8Array): boolean {
      onRead.call(this, bytes, size);
      return true;
    },
  };
}

/** Whether the stream is of the kind that `takeOver` is for. */
export function canBeTakenOver(stream: Duplex): stream is Socket {
  // A class derived from Socket, such as TLS's, does more than pass bytes on.
  return works && stream instanceof Socket && stream.constructor === Socket;
}

/**
 * Moves the connection of a socket into a new one that reads into the shared buffer. Returns that, paused;
 * undefined where it cannot be done now, and then nothing was. The old socket is dead afterwards and tells
 * nobody when the connection ends.
 */
export function takeOver(socket: Duplex, onread: OnReadOpts): Socket | undefined {
  if (!canBeTakenOver(socket)) return undefined;
  const isOpen = !(socket.connecting || socket.destroyed);
  const hasEnded = socket.readableEnded || socket.writableEnded;
  const isIdle = socket.readableLength === 0 && socket.writableLength === 0;
  return isOpen && !hasEnded && isIdle ? moveConnection(socket, onread) : undefined;
}

function moveConnection(socket: Socket, onread: OnReadOpts): Socket | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  // What `onread` needs of it; some runtimes have handles without.
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) {
    return undefined;
  }
  const options = { handle, allowHalfOpen: true, onread };
  const fresh = new Socket(options);
  fresh.pause();
  // The server that accepted the socket counts it until it is closed.
  for (const name of ['server', '_server']) {
    Reflect.set(fresh, name, Reflect.get(socket, name));
    Reflect.set(socket, name, null);
  }
  Reflect.set(socket, '_handle', null);
  return fresh;
}
