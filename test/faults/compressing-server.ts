// A server in a process of its own, so that its memory is not the test's: run by fork, with its options as JSON.
import { existsSync, readFileSync } from 'node:fs';
import { type ServeOptions, serve } from '../../dist/index.js';

/** What it answers to any message from the test. */
export interface Report {
  readonly port: number;
  /** The most memory that it has had so far, in bytes. */
  readonly peakBytes: number;
  /** Its peers' ends so far: codes of ApertoError, or close codes. */
  readonly ends: readonly string[];
}

const options = JSON.parse(process.argv[2] ?? '{}') as Omit<ServeOptions<undefined>, 'routes'>;
const ends: string[] = [];
const server = await serve({
  ...options,
  routes: {
    '/': {
      open(peer) {
        void peer.closed.then(({ code, error }) => ends.push(error?.code ?? `${code}`));
      },
      message(peer, message) {
        peer.send(`${message.length}`);
      },
    },
  },
});

function peakBytes(): number {
  // What `resourceUsage` says on Linux begins with what the process that forked had.
  const status = '/proc/self/status';
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(status, 'latin1'))?.[1];
  return Number(kibibytes) * 1024;
}

function report(): void {
  const { port } = server;
  process.send?.({ port, peakBytes: peakBytes(), ends } satisfies Report);
}

process.on('message', report);
process.on('disconnect', () => process.exit());
report();
