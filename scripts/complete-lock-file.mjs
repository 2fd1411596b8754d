// npm 11.16 and later leaves packages for other platforms out of the lock file where the registry in use does
// not have them, and `npm ci` then refuses that lock file (npm/cli#9846). This adds what npm would have
// written, but for the integrity. With --check, only says whether something is missing.
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));

const systems = /(?:^|-)(android|darwin|freebsd|linux|openharmony|win32)(?:-|$)/;
const processors = /(?:^|-)(arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-|$)/;

const missing = [];
for (const { dev, license, engines, optionalDependencies = {} } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined) continue;
    const system = systems.exec(name)?.[1];
    const processor = processors.exec(name)?.[1];
    // A package that is for no platform has to be looked at by a person.
    if (system === undefined || processor === undefined) {
      throw new Error(`${name} is in no lock file entry, and its name tells no platform`);
    }
    const libc = /musl/.test(name) ? 'musl' : 'glibc';
    missing.push([
      key,
      {
        version,
        cpu: [processor],
        ...(dev ? { dev } : {}),
        ...(system === 'linux' ? { libc: [libc] } : {}),
        license,
        optional: true,
        os: [system],
        engines,
      },
    ]);
  }
}

if (missing.length > 0 && process.argv.includes('--check')) {
  console.error('package-lock.json lacks packages of other platforms: run npm run lock');
  process.exitCode = 1;
} else if (missing.length > 0) {
  const byPath = ([a], [b]) => a.localeCompare(b, 'en');
  lock.packages = Object.fromEntries([...Object.entries(lock.packages), ...missing].sort(byPath));
  writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
  console.log(`added ${missing.map(([key]) => key).join(', ')}`);
}
