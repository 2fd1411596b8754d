import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CERTIFICATE, KEY } from '../certificate.ts';

/** What a server is asked to do, as the program's first argument. */
export type Work = 'echo' | 'broadcast';

/** How it compresses, as the second: every message, at level 1. */
export type Compressing = 'none' | 'no-takeover' | 'takeover';

/** What it speaks, as the third: HTTP/2 in the clear beside HTTP/1.1, or by TLS. */
export type Channel = 'tcp' | 'h2c' | 'tls';

/** In the environment, where the engine is that a server shares its topics over: a URL. */
export const ENGINE = 'APERTO_BENCH_ENGINE';

/** In the environment, that Socket.IO's adapter is to use sharded pub/sub. */
export const SHARDED = 'APERTO_BENCH_SHARDED';

/** In the environment, that there is to be a broker, which does nothing. */
export const BROKER = 'APERTO_BENCH_BROKER';

/** Room for the largest message measured, where a library's own limit would be in the way. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024 * 1024;

export function askedWork(): Work {
  const asked = process.argv[2];
  if (asked === 'echo' || asked === 'broadcast') return asked;
  throw new Error(`asked for ${String(asked)}, not for echo or broadcast`);
}

export function askedCompressing(): Compressing {
  const asked = process.argv[3] ?? 'none';
  if (asked === 'none' || asked === 'no-takeover' || asked === 'takeover') return asked;
  throw new Error(`asked to compress with ${asked}`);
}

export function askedChannel(): Channel {
  const asked = process.argv[4] ?? 'tcp';
  if (asked === 'tcp' || asked === 'h2c' || asked === 'tls') return asked;
  throw new Error(`asked to speak ${asked}`);
}

/** With TLS, what for; undefined without. */
export function askedCertificate(): { readonly cert: string; readonly key: string } | undefined {
  if (askedChannel() !== 'tls') return undefined;
  const { [CERTIFICATE]: cert, [KEY]: key } = process.env;
  if (cert === undefined || key === undefined)
    throw new Error('asked for TLS without a certificate');
  return { cert, key };
}

/** Where the engine is. */
export function askedEngine(): string {
  const url = process.env[ENGINE];
  if (url === undefined) throw new Error('asked for no engine');
  return url;
}

/**
 * Tells whoever started the server its port. From then on each line on standard input asks for a garbage
 * collection, and for how many TCP connections were taken (which Bun does not tell); its end ends the server.
 */
export function ready(port: number): void {
  let connections = 0;
  subscribe('net.server.socket', (taken) => {
    // Aperto connects to itself at the start, on another port, to try how sockets can be read.
    if (isTaken(taken) && taken.socket.localPort === port) connections++;
  });
  createInterface({ input: process.stdin }).on('line', () => {
    collectGarbage();
    console.log(`collected, ${connections} connections`);
  });
  process.stdin.on('end', () => process.exit());
  console.log(`port ${port}`);
}

function isTaken(message: unknown): message is { readonly socket: Socket } {
  return typeof message === 'object' && message !== null && 'socket' in message;
}

function collectGarbage(): void {
  if (typeof Bun !== 'undefined') {
    Bun.gc(true);
    return;
  }
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  // What finalizers let go of in the first goes in the second.
  globalThis.gc();
  globalThis.gc();
}
