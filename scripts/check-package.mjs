// Checks what would be published: the built library and its sources, nothing else; and that the lock file
// names no registry.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const problems = [];

const [packed] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    shell: process.platform === 'win32',
  }),
);
const paths = packed.files.map(({ path }) => path);

const allowed = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^src\/[\w/-]+\.ts$/,
  /^dist\/[\w/-]+\.(js|d\.ts)(\.map)?$/,
];
for (const path of paths) {
  if (!allowed.some((pattern) => pattern.test(path)))
    problems.push(`${path} does not belong in it`);
  if (/\.test\./.test(path)) problems.push(`${path} is a test`);
  const source = path.replace(/^dist\//, 'src/').replace(/(\.d)?\.(ts|js)(\.map)?$/, '.ts');
  if (!existsSync(join(root, source)) && path.startsWith('dist/')) {
    problems.push(`${path} is left of a source that is gone: remove dist/ and build`);
  }
}

/** Conditions may stand within conditions. */
function filesOf(entry) {
  return typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(filesOf);
}

const needed = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  ...Object.values(manifest.bin),
  ...filesOf(manifest.exports).map((path) => path.replace(/^\.\//, '')),
];
for (const path of needed) {
  if (!paths.includes(path)) problems.push(`${path} is not in it`);
}
for (const path of Object.values(manifest.bin)) {
  const text = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : '';
  if (!text.startsWith('#!/usr/bin/env node\n')) problems.push(`${path} does not begin with #!`);
}

for (const name of ['dependencies', 'peerDependencies', 'optionalDependencies']) {
  if (manifest[name] !== undefined) problems.push(`package.json has ${name}`);
}
for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
  if (manifest.scripts[name] !== undefined) problems.push(`package.json has the script ${name}`);
}

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
for (const [name, { resolved }] of Object.entries(lock.packages)) {
  if (/^[a-z+]+:/.test(resolved ?? '')) problems.push(`package-lock.json: ${name} has an address`);
}

for (const problem of problems) console.error(`check-package: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
else
  console.log(
    `${paths.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`,
  );
