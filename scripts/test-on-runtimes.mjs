// Runs the built tests on Bun and on Deno, and on the Node at hand to compare: `npm run test-on-runtimes`, or
// `npm run test-on-runtimes -- bun` for one of them, `-- deno node/pair` for those tests whose path contains that.
// Before them, the small programs of runtime-checks.mjs. Each file and program has a process of its own, which may take
// `--timeout` ms. What fails is told, and is no failure of this script: docs/runtimes.md says what is known. npm has
// the binaries as packages; they are kept below build/.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

const runtimes = {
  node: {
    args: ['--test-reporter=spec'],
    read: (told) =>
      readTree(told.split(/^✖ failing tests:/m)[0], /^( *)([✔✖﹣]) (.*?) \([\d.]+ms\)/),
  },
  bun: {
    version: '1.4.5',
    packages: { 'linux-x64': '@oven/bun-linux-x64', 'linux-arm64': '@oven/bun-linux-aarch64' },
    binary: 'bin/bun',
    // Node has no limit for a test; without this Bun's is 5 s.
    args: ['test', '--timeout=30000'],
    read: readBun,
  },
  deno: {
    version: '2.9.6',
    packages: { 'linux-x64': '@deno/linux-x64-glibc', 'linux-arm64': '@deno/linux-arm64-glibc' },
    binary: 'deno',
    args: ['test', '--allow-all', '--no-check', '--no-lock', '--quiet'],
    read: (told) =>
      readTree(
        told.split(/^ ERRORS $/m)[0],
        /^( *)(?<name>.*) \.\.\. (?<mark>ok|FAILED|ignored)(?: \(due to .*?\))?(?: \([^()]*\))?$/,
      ),
  },
};

/** What is left out, and why. */
const leftOut = {
  'browser/': 'they test what browsers do',
  'scripts/': 'they test scripts that only Node runs',
};

const outcomeOfMark = {
  '✔': 'passed',
  ok: 'passed',
  pass: 'passed',
  '✖': 'failed',
  FAILED: 'failed',
  fail: 'failed',
};

/** The certificate of all programs. */
let made;

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  let wanted;
  try {
    const options = { timeout: { type: 'string', default: '120000' } };
    wanted = parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    console.error(`test-on-runtimes: ${error.message}`);
    return 2;
  }
  const timeoutMs = Number(wanted.values.timeout);
  if (!(timeoutMs > 0)) {
    console.error(`test-on-runtimes: ${wanted.values.timeout} is no number of milliseconds`);
    return 2;
  }
  const isRuntime = (word) => Object.hasOwn(runtimes, word);
  const names = wanted.positionals.filter(isRuntime);
  const filters = wanted.positionals.filter((word) => !isRuntime(word));
  const files = testFiles(filters);
  if (files.length === 0) {
    console.error(`test-on-runtimes: no test matches ${filters.join(' ')}`);
    return 2;
  }
  const notBuilt = files.filter((file) => !existsSync(join(root, file)));
  if (notBuilt.length > 0) {
    console.error(`test-on-runtimes: not built, run npm run build:\n  ${notBuilt.join('\n  ')}`);
    return 2;
  }
  for (const [path, reason] of Object.entries(leftOut)) {
    console.log(`test-on-runtimes: left out: ${path}: ${reason}`);
  }
  const summaries = [];
  for (const name of names.length > 0 ? names : Object.keys(runtimes)) {
    const { problem, binary } = program(name);
    if (problem !== undefined) {
      console.error(`test-on-runtimes: ${problem}`);
      return 1;
    }
    console.log(`\ntest-on-runtimes: ${name} ${versionOf(binary)}`);
    if (filters.length === 0) summaries.push(await checkOn(name, binary, timeoutMs));
    summaries.push(await testOn(name, binary, files, timeoutMs));
  }
  console.log('');
  for (const summary of summaries) console.log(`test-on-runtimes: ${summary}`);
  return 0;
}

/** Built tests that have a source, relative to the root. */
function testFiles(filters) {
  return readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .filter((path) => !Object.keys(leftOut).some((folder) => path.startsWith(folder)))
    .sort()
    .map((path) => `build/${path.replace(/\.ts$/, '.js')}`);
}

/** The path of the runtime's binary, installed where it was not. */
function program(name) {
  const { version, packages, binary } = runtimes[name];
  if (packages === undefined) return { binary: process.execPath };
  const platform = `${process.platform}-${process.arch}`;
  const of = packages[platform];
  if (of === undefined) {
    return { problem: `${name} is tested on ${Object.keys(packages).join(', ')}, not ${platform}` };
  }
  const prefix = join(root, 'build', 'runtimes', `${name}-${version}`);
  const path = join(prefix, 'node_modules', of, binary);
  if (versionOf(path) === version) return { binary: path };
  // What an interrupted installation left would be taken for a whole one by npm.
  rmSync(prefix, { recursive: true, force: true });
  mkdirSync(prefix, { recursive: true });
  const options = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
  options.push('--loglevel=error', '--prefix', prefix, `${of}@${version}`);
  const stdio = ['ignore', 'inherit', 'inherit'];
  const { status, error } = spawnSync('npm', ['install', ...options], { cwd: prefix, stdio });
  if (status !== 0) {
    return {
      problem: `npm cannot install ${of}@${version}: ${error?.message ?? `exit code ${status}`}`,
    };
  }
  const found = versionOf(path);
  if (found === version) return { binary: path };
  return { problem: `the package ${of}@${version} holds ${name} ${found ?? 'of no kind'}` };
}

function versionOf(path) {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return status === 0 ? /\d+\.\d+\.\d+/.exec(stdout)?.[0] : undefined;
}

/** The programs of runtime-checks.mjs. */
async function checkOn(name, binary, timeoutMs) {
  const program = 'scripts/runtime-checks.mjs';
  const { stdout } = spawnSync(process.execPath, [program], { cwd: root, encoding: 'utf8' });
  const checks = stdout.trim().split('\n');
  const args =
    name === 'deno' ? ['run', '--allow-all', '--no-lock', '--quiet', program] : [program];
  let works = 0;
  for (const check of checks) {
    const ran = await runProcess(binary, [...args, check], timeoutMs, await certificate());
    const isDone = /^works$/m.test(ran.output);
    const [why = ''] = /^.*\b(?:Error|error)\b.*$/m.exec(ran.output) ?? [];
    if (ran.status === 0 && isDone) works++;
    else if (ran.timedOut)
      console.log(`${check}: ${isDone ? 'the process does not end' : 'hangs'}`);
    else console.log(`${check}: ${why || endOf(ran, timeoutMs)}`);
  }
  return `${name} ${versionOf(binary)}: ${works} of ${checks.length} small programs work`;
}

/** For 127.0.0.1, in the environment that the programs look into. */
async function certificate() {
  const { certificateFor } = await import(join(root, 'build', 'faults', 'certificate.js'));
  made ??= await certificateFor('localhost', '127.0.0.1');
  return { APERTO_CERT: made.cert, APERTO_KEY: made.key };
}

async function testOn(name, binary, files, timeoutMs) {
  const version = versionOf(binary);
  const results = [];
  const rest = [...files];
  const work = async () => {
    for (let file = rest.shift(); file !== undefined; file = rest.shift()) {
      results.push(await runFile(name, binary, file, timeoutMs));
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, work));
  results.sort((a, b) => (a.file < b.file ? -1 : 1));

  const of = (outcome) =>
    results.flatMap(({ tests }) => tests.filter((t) => t.outcome === outcome));
  for (const { file, tests, end } of results) {
    const failing = tests.filter(({ outcome }) => outcome === 'failed');
    if (failing.length === 0 && end === undefined) continue;
    const passed = tests.filter(({ outcome }) => outcome === 'passed').length;
    console.log(
      `${file}: ${passed} passed, ${failing.length} failed${end === undefined ? '' : `, ${end}`}`,
    );
    for (const { test } of failing) console.log(`  ${test}`);
  }
  const folder = join(root, 'build', 'runtimes');
  mkdirSync(folder, { recursive: true });
  const report = join(folder, `${name}.json`);
  writeFileSync(report, JSON.stringify({ name, version, results }, null, 1));
  const cut = results.filter(({ end }) => end !== undefined).length;
  const clean = results.filter(
    (r) => r.end === undefined && r.tests.every((t) => t.outcome !== 'failed'),
  );
  return (
    `${name} ${version}: ${of('passed').length} tests passed, ${of('failed').length} failed, ` +
    `${of('skipped').length} skipped; ${clean.length} of ${files.length} files without a failure, ` +
    `${cut} cut short; all output is in ${report.slice(root.length)}`
  );
}

async function runFile(name, binary, file, timeoutMs) {
  const { args, read } = runtimes[name];
  const path = name === 'bun' ? `./${file}` : file;
  const ran = await runProcess(binary, [...args, path], timeoutMs);
  const tests = read(ran.output);
  // What tests fail says itself why the exit code is 1.
  const isTold = ran.status === 1 && tests.some(({ outcome }) => outcome === 'failed');
  return { file, tests, end: isTold ? undefined : endOf(ran, timeoutMs), output: ran.output };
}

async function runProcess(binary, args, timeoutMs, environment = {}) {
  const { NODE_TEST_CONTEXT: _, FORCE_COLOR: __, ...inherited } = process.env;
  const child = spawn(binary, args, {
    cwd: root,
    env: { ...inherited, ...environment, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what a test has started ends with it.
    detached: true,
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      told += text;
    });
  }
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup(child.pid);
  }, timeoutMs);
  const closed = once(child, 'close');
  const [status, signal] = await once(child, 'exit');
  clearTimeout(timer);
  endGroup(child.pid);
  await closed;
  return { status, signal, timedOut, output: stripVTControlCharacters(told) };
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** How the process ended, where not by itself and well. */
function endOf({ status, signal, timedOut }, timeoutMs) {
  if (timedOut) return `did not end in ${timeoutMs} ms`;
  if (signal !== null) return `ended by ${signal}`;
  return status === 0 ? undefined : `ended with exit code ${status}`;
}

/** Reports in which a suite's line follows those of its tests, which are further to the right. */
function readTree(told, pattern) {
  const tests = [];
  let previous = 0;
  for (const line of told.split('\n')) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const [, { length: indent }, second, third] = match;
    const { name = third, mark = second } = match.groups ?? {};
    const isSuite = indent < previous;
    previous = indent;
    if (!isSuite) tests.push({ test: name, outcome: outcomeOfMark[mark] ?? 'skipped' });
  }
  return tests;
}

function readBun(output) {
  // At its end a long report tells the failures again.
  const [told] = output.split(/^\d+ tests? failed:$/m);
  return [...told.matchAll(/^\((pass|fail|skip|todo)\) (.*?)(?: \[[\d.]+m?s\])?$/gm)].map(
    ([, mark, test]) => ({ test, outcome: outcomeOfMark[mark] ?? 'skipped' }),
  );
}
