import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// This file runs from build/scripts/.
const script = fileURLToPath(new URL('../../scripts/install-test-tools.sh', import.meta.url));

const all = [
  ...['chromium', 'firefox-esr', 'squid', 'haproxy', 'nghttpx', 'curl', 'nghttp'],
  ...['nginx', 'apache2', 'caddy', 'dumpcap', 'tshark', 'ndpiReader'],
  ...['redis-server', 'nats-server', 'ip'],
];

/** Runs the script as a user who is not root, in whose PATH only these programs are. */
function install(args: readonly string[], programs: readonly string[], env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aperto-tools-'));
  try {
    for (const [name, text] of [['id', 'echo 1000'], ...programs.map((name) => [name, ''])]) {
      writeFileSync(join(folder, String(name)), `#!/bin/sh\n${text}\n`);
      chmodSync(join(folder, String(name)), 0o755);
    }
    const { status, stderr } = spawnSync('/bin/bash', [script, ...args], {
      env: { PATH: folder, ...env },
      encoding: 'utf8',
    });
    return { status, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('nothing is done where all is there', () => {
  assert.deepEqual(install([], all), { status: 0, stderr: '' });
  assert.deepEqual(install(['chromium'], ['chromium']), { status: 0, stderr: '' });
  const named = { APERTO_FIREFOX: process.execPath, APERTO_SQUID: process.execPath };
  assert.deepEqual(install(['firefox-esr', 'squid'], [], named), { status: 0, stderr: '' });
});

test('who may not install is told what is missing', () => {
  const { status, stderr } = install(
    [],
    all.filter((name) => name !== 'firefox-esr'),
  );
  assert.equal(status, 3);
  assert.match(stderr, /^missing: firefox-esr \(Debian: apt-get install firefox-esr .*\)\n$/);
});

test('misuse is told', () => {
  assert.equal(install(['netscape'], []).status, 2);
  const { status, stderr } = install(['chromium'], ['chromium'], { APERTO_CHROMIUM: '/nowhere' });
  assert.equal(status, 2);
  assert.match(stderr, /APERTO_CHROMIUM is \/nowhere/);
});
