/** Connections that keep no rules: each does one thing wrong, and must be ended as that deserves. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import { CLOSE, FIN, ServerFrames, UpgradeAnswer, upgradeRequest } from './frames.ts';
import type { MalformedCase, RefusedCase } from './malformed-cases.ts';
import { HANDSHAKE_TIMEOUT_MS, MESSAGE_TIMEOUT_MS } from './plan.ts';
import { inTime } from './slow-reader.ts';

/**
 * What the server may take longer than its limits. Node takes one new connection in each turn of the event loop (libuv 1.45
 * and later), so that on a machine that is short of time some wait long before the server has heard of them.
 */
const LENIENCE_MS = 30_000;

/** Does it; returns what the server did wrong, if anything. */
export async function sendMalformed(
  port: number,
  { name, bytes, codes, compressed = false }: MalformedCase,
  random: Random,
): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1' });
  const answer = new UpgradeAnswer();
  const frames = new ServerFrames();
  let isOpen = false;
  let code: number | undefined;
  let failure: string | undefined;
  const ended = hear(socket, (chunk) => {
    try {
      let rest: Buffer | undefined = chunk;
      if (!isOpen) {
        rest = answer.push(chunk);
        if (rest === undefined) return;
        isOpen = true;
        socket.write(bytes(random));
      }
      for (const { first, payload } of frames.push(rest)) {
        if (first === (FIN | CLOSE)) code ??= payload.length < 2 ? 1005 : payload.readUInt16BE();
      }
    } catch (error) {
      failure = String(error);
      socket.destroy();
    }
  });
  socket.write(upgradeRequest('/malformed', compressed ? 'permessage-deflate' : ''));
  const isEnded = await inTime(ended, MESSAGE_TIMEOUT_MS + LENIENCE_MS);
  socket.destroy();
  if (failure !== undefined) return `${name}: ${failure}`;
  if (code === undefined || !codes.includes(code)) return `${name}: closed with ${code}`;
  return isEnded ? undefined : `${name}: not ended after the close`;
}

export async function sendRefused(
  port: number,
  { name, request, status }: RefusedCase,
): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  const ended = hear(socket, (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.write(request, 'latin1');
  const isEnded = await inTime(ended, HANDSHAKE_TIMEOUT_MS + LENIENCE_MS);
  socket.destroy();
  if (!text.startsWith(`HTTP/1.1 ${status} `)) return `${name}: answered ${text.slice(0, 12)}`;
  return isEnded ? undefined : `${name}: not ended after the answer`;
}

export const unfinishedWays = ['silent', 'half a head', 'drop by drop', 'silent at TLS'] as const;

/** Begins an opening handshake and never finishes it. */
export async function sendUnfinished(
  ports: { readonly tcp: number; readonly tls: number },
  way: (typeof unfinishedWays)[number],
): Promise<string | undefined> {
  const port = way === 'silent at TLS' ? ports.tls : ports.tcp;
  const socket = connect({ port, host: '127.0.0.1' });
  const ended = hear(socket, () => {});
  const head = upgradeRequest('/malformed');
  if (way === 'half a head') socket.write(head.slice(0, -2));
  if (way === 'drop by drop') {
    let at = 0;
    const timer = setInterval(() => {
      socket.write(head.slice(at, ++at));
    }, 200);
    void ended.then(() => clearInterval(timer));
  }
  const isEnded = await inTime(ended, HANDSHAKE_TIMEOUT_MS * 1.25 + LENIENCE_MS);
  socket.destroy();
  return isEnded ? undefined : `an unfinished handshake (${way}) was not ended`;
}

/** Resolves when the connection is over. What its end looks like is the network's. */
function hear(socket: Socket, onData: (chunk: Buffer) => void): Promise<void> {
  socket.on('data', onData);
  socket.on('error', () => {});
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

/** Does something so many times a second, until told to stop; resolves once all of it is over. */
export async function repeatedly(
  perSecond: number,
  signal: AbortSignal,
  act: () => Promise<unknown>,
): Promise<void> {
  const running = new Set<Promise<unknown>>();
  while (!signal.aborted) {
    const act1 = act().finally(() => running.delete(act1));
    running.add(act1);
    await sleep(1000 / perSecond, undefined, { signal }).catch(() => {});
  }
  await Promise.all(running);
}
