// Runs the built tests: `npm test`, or `npm test -- protocol/frames` for those whose path contains that;
// `--without browser/` leaves out those whose path contains that; `--timeout 120000` is what a file may take, in ms.
// Prints each skipped test with its reason at the end. In CI a skip is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import process from 'node:process';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const inCi = process.env.CI === 'true';

/** What the tests of a folder need beyond npm, as scripts/install-test-tools.sh names it. */
const toolsOfFolder = {
  'bench/': ['redis-server', 'nats-server'],
  'brokers/': ['redis-server', 'nats-server'],
  'browser/': ['chromium', 'firefox-esr'],
  'chat/': ['redis-server', 'nats-server'],
  'faults/': ['redis-server', 'nats-server'],
  'soak/': ['redis-server', 'ip'],
  'interop/': [
    'squid',
    'haproxy',
    'nghttpx',
    'curl',
    'nghttp',
    'nginx',
    'apache2',
    'caddy',
    'dumpcap',
    'tshark',
    'ndpiReader',
    'redis-server',
    'nats-server',
  ],
};

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  console.log(`run-tests: Node ${process.version}, ${process.execPath}`);
  let wanted;
  try {
    wanted = parseArgs({
      args,
      allowPositionals: true,
      options: {
        without: { type: 'string', multiple: true, default: [] },
        timeout: { type: 'string', default: '120000' },
      },
    });
  } catch (error) {
    console.error(`run-tests: ${error.message}`);
    return 2;
  }
  const timeoutMs = Number(wanted.values.timeout);
  if (!(timeoutMs > 0)) {
    console.error(`run-tests: ${wanted.values.timeout} is no number of milliseconds`);
    return 2;
  }
  const { positionals: filters, values } = wanted;
  const sources = testSources()
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .filter((path) => !values.without.some((part) => path.includes(part)));
  if (sources.length === 0) {
    console.error(`run-tests: no test matches ${args.join(' ')}`);
    return 2;
  }
  // The list comes from the sources, so that what is left in build/ of a deleted test does not run.
  const files = sources.map((path) => join(root, 'build', path.replace(/\.ts$/, '.js')));
  const notBuilt = files.filter((file) => !existsSync(file));
  if (notBuilt.length > 0) {
    console.error(`run-tests: not built, run npm run build:\n  ${notBuilt.join('\n  ')}`);
    return 2;
  }
  if (!installTools(sources) && inCi) return 1;
  return await runFiles(files, timeoutMs);
}

/** Paths below test/, with forward slashes; the slow browser tests first, so that no core waits for them at the end. */
function testSources() {
  const paths = readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
  const isSlow = (path) => path.startsWith('browser/');
  return [...paths.filter(isSlow), ...paths.filter((path) => !isSlow(path))];
}

/** Where it cannot install, the tests that need a tool look for it themselves and skip with a reason. */
function installTools(sources) {
  const tools = new Set(
    Object.entries(toolsOfFolder)
      .filter(([folder]) => sources.some((path) => path.startsWith(folder)))
      .flatMap(([, names]) => names),
  );
  if (tools.size === 0) return true;
  const script = join(root, 'scripts', 'install-test-tools.sh');
  const { status, error } = spawnSync('bash', [script, ...tools], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error !== undefined) console.error(`run-tests: ${script}: ${error.message}`);
  return status === 0;
}

async function runFiles(files, timeoutMs) {
  let failures = 0;
  let passes = 0;
  const skips = [];
  const events = run({
    files,
    concurrency: Math.min(availableParallelism(), 4),
    timeout: timeoutMs,
  });
  events.on('test:fail', ({ name, todo, file }) => {
    if (todo === undefined) failures += 1;
    else skips.push({ name, file, reason: todo });
  });
  events.on('test:pass', ({ name, skip, todo, file }) => {
    if (skip === undefined && todo === undefined) passes += 1;
    else skips.push({ name, file, reason: skip ?? todo });
  });
  const report = events.compose(new spec());
  report.pipe(process.stdout);
  await finished(report);

  for (const { name, file, reason } of skips) {
    const where = file === undefined ? '' : ` (${file.slice(root.length)})`;
    console.log(`skipped: ${name}${where}: ${typeof reason === 'string' ? reason : 'NO REASON'}`);
  }
  const unexplained = skips.filter(({ reason }) => typeof reason !== 'string');
  if (unexplained.length > 0) console.error('run-tests: a skip needs a reason');
  if (inCi && skips.length > 0) console.error('run-tests: in CI nothing may be skipped');
  if (passes === 0) console.error('run-tests: no test ran');
  const bad = failures > 0 || unexplained.length > 0 || (inCi && skips.length > 0);
  return bad || (passes === 0 && inCi) ? 1 : 0;
}
