import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// This file runs from build/scripts/.
const script = fileURLToPath(new URL('../../scripts/run-tests.mjs', import.meta.url));

const passing = `require('node:test').test('passes', () => {});\n`;
const failing = `require('node:test').test('fails', () => { throw new Error('no'); });\n`;
const skipped = `require('node:test').test('is skipped', { skip: 'no such tool' }, () => {});\n`;
const unexplained = `require('node:test').test('is skipped', { skip: true }, () => {});\n`;
const endless = `require('node:test').test('ends early', () => new Promise(() => {}));\n`;

interface Files {
  readonly built: Readonly<Record<string, string>>;
  /** Tests that have a source; default: all that are built. */
  readonly sources?: readonly string[];
}

/** Runs the script over a project made of these files. */
function run({ built, sources }: Files, args: readonly string[] = [], ci = false) {
  const root = mkdtempSync(join(tmpdir(), 'aperto-run-tests-'));
  try {
    const write = (path: string, text: string): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    for (const [name, text] of Object.entries(built)) write(`build/${name}.test.js`, text);
    for (const name of sources ?? Object.keys(built)) write(`test/${name}.test.ts`, '');
    write('package.json', '{}');
    mkdirSync(join(root, 'scripts'));
    copyFileSync(script, join(root, 'scripts', 'run-tests.mjs'));
    // What runs this test tells its children to report in another form.
    const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'scripts', 'run-tests.mjs'), ...args],
      { env: { ...env, CI: ci ? 'true' : '' }, encoding: 'utf8' },
    );
    return { status, stdout, stderr };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test('it succeeds where all pass, and prints the closing lines', () => {
  const { status, stdout } = run({ built: { 'a/one': passing, two: passing } }, [], true);
  assert.match(stdout, /tests 2\n/);
  assert.match(stdout, /fail 0\n/);
  assert.equal(status, 0);
});

test('it fails where one fails, hangs, or cannot be loaded', () => {
  assert.equal(run({ built: { one: passing, two: failing } }).status, 1);
  // From Node 24 on, a test that can no longer end keeps its process until the time is up.
  const { status, stdout } = run({ built: { one: passing, two: endless } }, ['--timeout', '1000']);
  assert.match(stdout, /✖ ends early/);
  assert.equal(status, 1);
  assert.equal(run({ built: { one: passing, two: 'this is no JavaScript' } }).status, 1);
});

test('it names each skip with its reason, and fails for it in CI', () => {
  const built = { 'a/one': passing, 'b/two': skipped };
  const { status, stdout } = run({ built });
  assert.match(stdout, /^skipped: is skipped \(build\/b\/two\.test\.js\): no such tool$/m);
  assert.equal(status, 0);
  assert.equal(run({ built }, [], true).status, 1);
});

test('it fails for a skip without a reason', () => {
  assert.equal(run({ built: { one: passing, two: unexplained } }).status, 1);
});

test('it runs what has a source: nothing that is left in build/, and nothing is forgotten', () => {
  const built = { one: passing, deleted: failing };
  assert.equal(run({ built, sources: ['one'] }).status, 0);
  const { status, stderr } = run({ built: { one: passing }, sources: ['one', 'new'] });
  assert.equal(status, 2);
  assert.match(stderr, /not built/);
});

test('it runs only what is asked for', () => {
  const built = { 'a/one': passing, 'b/two': failing };
  assert.equal(run({ built }, ['a/']).status, 0);
  assert.equal(run({ built }, ['two']).status, 1);
  const { status, stderr } = run({ built }, ['c/']);
  assert.equal(status, 2);
  assert.match(stderr, /no test matches c\//);
});

test('it leaves out what it is told to', () => {
  const built = { 'a/one': passing, 'b/two': failing, 'c/two': failing };
  assert.equal(run({ built }, ['--without', 'b/', '--without', 'c/']).status, 0);
  assert.equal(run({ built }, ['two', '--without', 'b/']).status, 1);
  const { status, stderr } = run({ built }, ['b/', '--without', 'two']);
  assert.equal(status, 2);
  assert.match(stderr, /no test matches b\/ --without two/);
});

test('it refuses options that it does not know, and times that are none', () => {
  const unknown = run({ built: { one: passing } }, ['--wihtout', 'b/']);
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /^run-tests: .*--wihtout/);
  for (const time of ['', '0', 'soon']) {
    const { status, stderr } = run({ built: { one: passing } }, [`--timeout=${time}`]);
    assert.equal(status, 2);
    assert.match(stderr, /is no number of milliseconds/);
  }
});

test('it says which Node runs', () => {
  const { stdout } = run({ built: { one: passing } });
  assert.ok(stdout.startsWith(`run-tests: Node ${process.version}, ${process.execPath}\n`), stdout);
});

test('in CI, a run of no test is a failure', () => {
  assert.equal(run({ built: { one: skipped } }, [], true).status, 1);
});
