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
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// This file runs from build/scripts/.
const script = fileURLToPath(new URL('../../scripts/test-on-runtimes.mjs', import.meta.url));

/** An npm that installs a runtime which tells the version asked for, and reports what stands in FAKE_REPORT. */
const fakeNpm = `#!/bin/sh
echo "$*" >> "$NPM_LOG"
test -z "$OFFLINE" || exit 1
for last; do :; done
name=\${last%@*}
while [ "$1" != --prefix ]; do shift; done
case $name in *bun*) path=bin/bun;; *) path=deno;; esac
mkdir -p "$(dirname "$2/node_modules/$name/$path")"
cat > "$2/node_modules/$name/$path" <<END
#!/bin/sh
if [ "\\$1" = --version ]; then echo "runtime \${last##*@} (stable)"; exit; fi
for file; do :; done
if [ "\\$1" = scripts/runtime-checks.mjs ] || [ "\\$5" = scripts/runtime-checks.mjs ]; then
  if [ "\\$file" = serve ]; then echo works; else echo 'Error: no such thing' >&2; exit 1; fi
  exit
fi
cat "$FAKE_REPORT"
\${ENDS:-exit 0}
END
chmod +x "$2/node_modules/$name/$path"
`;

const bunReport = `a.test.js:
(pass) suite > one [0.98ms]
(pass) two
(skip) three
error: no
(fail) suite > four [2.10ms]

1 tests failed:
(fail) suite > four [2.10ms]
`;

const denoReport = `suite ...
  one ... \u001b[32mok\u001b[0m (3ms)
  inner ...
    two ... FAILED (10s)
  inner ... FAILED (due to 1 failed step) (10s)
suite ... FAILED (due to 1 failed step) (10s)
three ... ok (2ms)
four ... ignored (0ms)

 ERRORS 

two ... FAILED (10s)
`;

function project(t: TestContext, report: string) {
  const root = mkdtempSync(join(tmpdir(), 'aperto-test-on-runtimes-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('scripts/runtime-checks.mjs', "console.log('serve\\nconnect')");
  copyFileSync(script, join(root, 'scripts', 'test-on-runtimes.mjs'));
  write('package.json', '{ "type": "module" }');
  write('test/a.test.ts', '');
  write('build/a.test.js', '');
  write(
    'build/faults/certificate.js',
    'export const certificateFor = () => ({ cert: "", key: "" });',
  );
  write('report', report);
  write('bin/npm', fakeNpm);
  chmodSync(join(root, 'bin/npm'), 0o755);
  const here =
    "Object.defineProperty(process, 'platform', { value: 'linux' });" +
    "Object.defineProperty(process, 'arch', { value: 'x64' });";
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...inherited } = process.env;
  const env = {
    ...inherited,
    PATH: `${join(root, 'bin')}:${inherited['PATH']}`,
    NPM_LOG: join(root, 'npm.log'),
    FAKE_REPORT: join(root, 'report'),
  };
  return {
    root,
    write,
    run(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
      const preload = `data:text/javascript,${encodeURIComponent(here)}`;
      return spawnSync(
        process.execPath,
        ['--import', preload, join(root, 'scripts', 'test-on-runtimes.mjs'), ...args],
        { env: { ...env, ...more }, encoding: 'utf8' },
      );
    },
    npm: () => (existsSync(env.NPM_LOG) ? readFileSync(env.NPM_LOG, 'utf8') : ''),
  };
}

test('Bun: tests are counted once, failures are told, and are no failure of the script', (t) => {
  const { root, run, npm } = project(t, bunReport);
  const { status, stdout, stderr } = run(['bun'], { ENDS: 'exit 1' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^build\/a\.test\.js: 2 passed, 1 failed\n {2}suite > four$/m);
  assert.match(stdout, /bun \S+: 2 tests passed, 1 failed, 1 skipped; 0 of 1 files .* 0 cut short/);
  assert.match(stdout, /^connect: Error: no such thing$/m);
  assert.match(stdout, /bun \S+: 1 of 2 small programs work/);
  assert.ok(existsSync(join(root, 'build/runtimes/bun.json')));
  assert.match(npm(), /--ignore-scripts .*@oven\/bun-linux-x64@\d/);
  run(['bun']);
  assert.equal(npm().split('\n').length, 2, 'what is installed is used again');
});

test('Deno: suites are no tests, and colours and the list of errors do not count', (t) => {
  const { status, stdout } = project(t, denoReport).run(['deno', 'a.test'], { ENDS: 'exit 1' });
  assert.equal(status, 0);
  assert.match(stdout, /^build\/a\.test\.js: 2 passed, 1 failed\n {2}two$/m);
  assert.match(stdout, /deno \S+: 2 tests passed, 1 failed, 1 skipped/);
  assert.doesNotMatch(
    stdout,
    /small programs/,
    'they are left out where only some tests are wanted',
  );
});

test('on the Node at hand', (t) => {
  const { write, run } = project(t, '');
  const lines = [
    "import { describe, test } from 'node:test';",
    "describe('suite', () => { test('one (1)', () => {}); test('two', () => { throw new Error('no'); }); });",
    "test('three', () => {});",
  ];
  write('build/a.test.js', lines.join('\n'));
  const { stdout } = run(['node', 'a.test']);
  assert.match(stdout, /^build\/a\.test\.js: 2 passed, 1 failed\n {2}two$/m);
});

test('a process that does not end, or ends otherwise, cuts its file short', (t) => {
  const endless = project(t, '(pass) one\n').run(['bun', 'a.test', '--timeout', '500'], {
    ENDS: 'sleep 60',
  });
  assert.match(endless.stdout, /^build\/a\.test\.js: 1 passed, 0 failed, did not end in 500 ms$/m);
  const killed = project(t, '(pass) one\n').run(['bun', 'a.test'], { ENDS: 'kill -SEGV $$' });
  assert.match(killed.stdout, /1 passed, 0 failed, ended by SIGSEGV$/m);
  const exited = project(t, '').run(['bun', 'a.test'], { ENDS: 'exit 1' });
  assert.match(exited.stdout, /0 passed, 0 failed, ended with exit code 1$/m);
  assert.match(exited.stdout, /0 of 1 files without a failure, 1 cut short/);
});

test('it fails where it cannot test', (t) => {
  const { run } = project(t, '');
  const offline = run(['bun'], { OFFLINE: 'true' });
  assert.equal(offline.status, 1);
  assert.match(offline.stderr, /npm cannot install @oven\/bun-linux-x64@\S+: exit code 1/);
  assert.equal(run(['no-such-test']).status, 2);
  assert.equal(run(['bun', '--timeout', 'soon']).status, 2);
  assert.equal(run(['bun', '--unknown']).status, 2);
});
