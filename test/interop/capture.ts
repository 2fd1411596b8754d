import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from '../cli/command.ts';
import { within } from '../faults/raw-socket.ts';
import { findProgram, skipWithout } from '../installed-program.ts';

const dumpcap = findProgram('dumpcap', 'APERTO_DUMPCAP');
export const tshark: string | undefined = findProgram('tshark', 'APERTO_TSHARK');
const ndpiReader = findProgram('ndpiReader', 'APERTO_NDPI_READER');

/** Why nothing can be captured here; false where it can. */
export const noCapture: string | false =
  skipWithout('tshark with dumpcap', dumpcap, tshark) ||
  skipWithout('ndpiReader', ndpiReader) ||
  (process.getuid?.() === 0 ? false : 'only root may capture what goes over the loopback');

/** Any program. */
class Program extends Command {
  protected override commandLine(args: readonly string[]): readonly string[] {
    return args;
  }
}

export async function outputOf(
  program: string | undefined,
  args: readonly string[],
): Promise<string> {
  const run = new Program(program ?? '', ...args);
  const code = await within(`the end of ${program}`, run.end(), 30_000);
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
}

/** Writes what goes over the loopback, to and from a port, into a file while something happens. */
export async function capture(
  file: string,
  port: number,
  happens: () => Promise<void>,
): Promise<void> {
  // Datagrams, so that they are nobody's connections.
  const marks = createSocket('udp4').bind(0, '127.0.0.1');
  await once(marks, 'listening');
  const filter = `tcp port ${port} or udp port ${marks.address().port}`;
  const running = new Program(
    dumpcap ?? '',
    '-q',
    '-B',
    '16',
    '-i',
    'lo',
    '-f',
    filter,
    '-w',
    file,
  );
  try {
    await mark(running, file, marks, 'CAPTURE-BEGINS');
    await happens();
    // What came before it is in the file as well.
    await mark(running, file, marks, 'CAPTURE-ENDS');
  } finally {
    marks.close();
    assert.equal(await running.signal('SIGINT'), 0, running.stderr);
  }
  assert.match(running.stderr, /received\/dropped on .*: \d+\/0 /);
}

/** Sends something, again and again, until it is in the file. */
async function mark(running: Command, file: string, marks: Socket, text: string): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    marks.send(text, marks.address().port, '127.0.0.1');
    await sleep(100);
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    if (bytes.includes(text)) return;
    assert.equal(running.child.exitCode, null, running.stderr);
    assert.ok(performance.now() < until, `nothing is captured: ${running.stderr}`);
  }
}

/** What nDPI takes the TCP connections of a file to be. */
export async function classify(file: string): Promise<string[]> {
  const output = await outputOf(ndpiReader, ['-i', file, '-v', '2']);
  const flows = output.matchAll(/\bTCP 127\.0\.0\.1:\d+ <?-> 127\.0\.0\.1:\d+ (\[.*)/g);
  return [...flows].map(([, what = '']) => what);
}
