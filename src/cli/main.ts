#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { bench } from './bench.ts';
import { broadcast } from './broadcast.ts';
import { connect } from './connect.ts';
import { echo } from './echo.ts';
import { CommandError, UsageError, usage } from './usage.ts';

async function main([command, ...args]: readonly string[]): Promise<number | undefined> {
  switch (command) {
    case 'echo':
      await echo(args);
      return undefined;
    case 'broadcast':
      await broadcast(args);
      return undefined;
    case 'connect':
      return connect(args);
    case 'bench':
      return bench(args);
    case '--help':
    case '-h':
    case 'help':
      console.log(usage.aperto);
      return 0;
    case '--version':
      console.log(version());
      return 0;
    case undefined:
      throw new UsageError(`a command is missing\n\n${usage.aperto}`);
    default:
      throw new UsageError(
        `there is no command ${JSON.stringify(command)}; there are echo, broadcast, connect and bench`,
      );
  }
}

function version(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  const isManifest = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isManifest ? String(manifest.version) : 'unknown';
}

/** Options that parseArgs refuses are misuse as well. */
function isMisuse(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  return (
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  );
}

try {
  const code = await main(process.argv.slice(2));
  if (code !== undefined) process.exitCode = code;
} catch (error) {
  if (isMisuse(error)) {
    console.error(`aperto: ${error.message}`);
    process.exitCode = 2;
  } else if (error instanceof CommandError) {
    console.error(`aperto: ${error.message}`);
    process.exitCode = 1;
  } else throw error;
}
