import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Coverage } from './coverage.ts';
import { Fuzzer, type Report } from './fuzzer.ts';
import { readSeed, writeSeed } from './seed-file.ts';
import type { Target } from './target.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));
const run = promisify(execFile);

suite('the fuzzer', () => {
  const coverage = new Coverage();
  coverage.start();
  after(() => coverage.stop());

  async function fuzz(target: Target, seconds: number): Promise<Report> {
    return await new Fuzzer(target, [], coverage, 1).run(seconds);
  }

  test('finds what only the way there shows, and makes it small', async () => {
    // Four bytes at once: chance alone would need four thousand million tries.
    const planted: Target = {
      name: 'planted',
      invariant: 'It never says fuzz.',
      run(bytes) {
        const text = Buffer.from(bytes).toString('latin1');
        if (text.includes('fuzz')) throw new Error('it says fuzz');
        return ['fuz', 'fu', 'f'].find((part) => text.includes(part)) ?? '';
      },
    };
    const { failure } = await fuzz(planted, 60);
    assert.ok(failure, 'not found');
    assert.equal(Buffer.from(failure.input).toString(), 'fuzz');
  });

  test('is guided by the code that is reached', async () => {
    const { parseHost } = await import('../../dist/protocol/handshake/host.js');
    const guided: Target = {
      name: 'guided',
      invariant: 'No host has an address in brackets and a port.',
      run(bytes) {
        const text = Buffer.from(bytes).toString('latin1');
        const host = parseHost(text);
        if (text.startsWith('[') && host?.port !== undefined) throw new Error('there is one');
        return '';
      },
    };
    const { failure, corpus } = await fuzz(guided, 60);
    assert.ok(failure, 'not found');
    assert.match(Buffer.from(failure.input).toString(), /^\[[0-9a-f:.]\]:\d$/i);
    assert.ok(corpus > 3, 'nothing on the way was kept');
  });
});

suite('seed files', () => {
  test('are hexadecimal, strings and comments', () => {
    const text = '# one\n00 ff\n"a\\u00e9\\n"\n\n  0102 03\n';
    assert.deepEqual([...readSeed(text)], [0, 255, 0x61, 0xe9, 0x0a, 1, 2, 3]);
    for (const wrong of ['0', 'xy', '{}', '"']) assert.throws(() => readSeed(wrong), SyntaxError);
  });

  test('are written so that they can be read', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i);
    assert.deepEqual(readSeed(writeSeed(bytes, 'some\nlines')), bytes);
  });
});

suite('npm run fuzz', () => {
  test('says what it does not know', async () => {
    const wrong = ['--target nothing', '--seconds 0', '--seed x', '--input file', '--sekunden 1'];
    for (const args of wrong) {
      await assert.rejects(run(process.execPath, [main, ...args.split(' ')]), (error: unknown) => {
        assert.ok(error instanceof Error && 'code' in error && 'stderr' in error);
        assert.ok(error.code === 1 || error.code === 2, args);
        assert.match(String(error.stderr), /^fuzz: /, args);
        return true;
      });
    }
  });

  test('runs one input again', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'input.txt');
    await writeFile(file, writeSeed(Uint8Array.of(0, 0, 0x81, 0x00), 'An empty text.'));
    const { stdout } = await run(process.execPath, [
      main,
      '--target',
      'frame-parser',
      '--input',
      file,
    ]);
    assert.match(stdout, /^frame-parser: holds for these 4 bytes/);
  });

  test('writes what reaches new code', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
    t.after(() => rm(folder, { recursive: true }));
    const args = ['--target', 'connection', '--seconds', '1', '--seed', '3', '--new', folder];
    const { stdout } = await run(process.execPath, [main, ...args]);
    const [, before, behind] = /corpus (\d+) -> (\d+)/.exec(stdout) ?? [];
    assert.ok(Number(behind) > Number(before), stdout);
    assert.ok((await readFile(join(folder, 'connection', '0.txt'), 'utf8')).startsWith('# '));
  });
});
