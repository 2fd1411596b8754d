/** What a server is asked to do, as the program's first argument. */
export type Work = 'echo' | 'broadcast';

/** How it compresses, as the second: every message, at level 1. */
export type Compressing = 'none' | 'no-takeover' | 'takeover';

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

/**
 * Tells whoever started the server its port. From then on each line on standard input asks for a garbage
 * collection, and its end ends the server.
 */
export function ready(port: number): void {
  process.stdin.on('data', () => {
    collectGarbage();
    console.log('collected');
  });
  process.stdin.on('end', () => process.exit());
  console.log(`port ${port}`);
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
