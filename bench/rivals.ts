import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { DialectName } from './scale-out/dialects.ts';
import { type EngineName, findEngine } from './scale-out/engine.ts';
import { BROKER, SHARDED } from './servers/control.ts';

export type RivalName =
  | 'aperto'
  | 'aperto:WebSocket'
  | 'aperto:http/1.1'
  | 'aperto:h2'
  | 'aperto:broker'
  | 'aperto+redis'
  | 'aperto+nats'
  | 'socket.io+redis'
  | 'socket.io+redis-sharded'
  | 'ws'
  | 'ws+bufferutil'
  | 'websocket'
  | 'faye-websocket'
  | 'bun';

export const rivalNames: readonly RivalName[] = [
  'aperto',
  'aperto:WebSocket',
  'aperto:http/1.1',
  'aperto:h2',
  'aperto:broker',
  'aperto+redis',
  'aperto+nats',
  'socket.io+redis',
  'socket.io+redis-sharded',
  'ws',
  'ws+bufferutil',
  'bun',
  'websocket',
  'faye-websocket',
];

/** What the others are compared with, where a row says nothing else. */
export const YARDSTICK: RivalName = 'ws';

export interface Rival {
  readonly name: RivalName;
  readonly version: string;
  /** The programs' file name, in servers/, clients/, memory/ and publish/. */
  readonly file: string;
  /** Runs a JavaScript file that is appended. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether its WebSockets are streams of one connection of HTTP/2. */
  readonly http2?: boolean;
  /** What its servers share their topics over. */
  readonly engine?: EngineName;
  /** What they speak. Default: WebSocket, and nothing above it. */
  readonly dialect?: DialectName;
}

const require = createRequire(import.meta.url);
const node = [process.execPath, '--expose-gc'];

/** The rival, or why it cannot be run here. */
export function findRival(name: RivalName): Rival | { readonly missing: string } {
  switch (name) {
    case 'aperto':
    case 'websocket':
    case 'faye-websocket':
      return { name, version: versionOf(name), file: name, command: node, environment: {} };
    case 'aperto:http/1.1':
    case 'aperto:h2': {
      const version = versionOf('aperto');
      const http2 = name === 'aperto:h2';
      return { name, version, file: 'aperto', command: node, environment: {}, http2 };
    }
    case 'aperto:WebSocket': {
      const version = versionOf('aperto');
      return { name, version, file: 'aperto-websocket', command: node, environment: {} };
    }
    case 'aperto:broker': {
      const environment = { [BROKER]: '1' };
      return { name, version: versionOf('aperto'), file: 'aperto', command: node, environment };
    }
    case 'aperto+redis':
    case 'aperto+nats':
      return overEngine(name, name === 'aperto+nats' ? 'nats' : 'redis', {
        version: versionOf('aperto'),
        file: 'aperto-scaled',
      });
    case 'socket.io+redis':
    case 'socket.io+redis-sharded':
      return overEngine(name, 'redis', {
        version: `${versionOf('socket.io')}+${versionOf('@socket.io/redis-adapter')}`,
        file: 'socket.io',
        dialect: 'socket.io',
        environment: name === 'socket.io+redis' ? {} : { [SHARDED]: '1' },
      });
    case 'ws': {
      // It uses bufferutil where that can be found, and here another rival brings it along.
      const environment = { WS_NO_BUFFER_UTIL: '1' };
      return { name, version: versionOf('ws'), file: 'ws', command: node, environment };
    }
    case 'ws+bufferutil': {
      const version = `${versionOf('ws')}+${versionOf('bufferutil')}`;
      return { name, version, file: 'ws', command: node, environment: {} };
    }
    case 'bun':
      return findBun();
  }
}

function overEngine(
  name: RivalName,
  engine: EngineName,
  rest: Pick<Rival, 'version' | 'file'> & Partial<Rival>,
): Rival | { readonly missing: string } {
  const found = findEngine(engine);
  if ('missing' in found) return found;
  return { name, command: node, environment: {}, engine, ...rest };
}

function findBun(): Rival | { readonly missing: string } {
  for (const path of bunPaths()) {
    const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const version = stdout.trim();
    return { name: 'bun', version, file: 'bun', command: [path], environment: {} };
  }
  return { missing: 'not installed on this platform' };
}

/** Its install script moves the binary; where that was not run it is still in the platform's package. */
function bunPaths(): string[] {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const processor = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const binary = process.platform === 'win32' ? 'bun.exe' : 'bun';
  const platform = `@oven/bun-${system}-${processor}`;
  return [
    ['bun', 'bun.exe'],
    [platform, binary],
    [`${platform}-musl`, binary],
  ].flatMap(([name = '', file = '']) => {
    const folder = folderOf(name);
    return folder === undefined ? [] : [join(folder, 'bin', file)];
  });
}

function folderOf(packageName: string): string | undefined {
  try {
    return dirname(require.resolve(`${packageName}/package.json`));
  } catch {
    return undefined;
  }
}

function versionOf(packageName: string): string {
  const path = require.resolve(`${packageName}/package.json`);
  const manifest: { version: string } = JSON.parse(readFileSync(path, 'utf8'));
  return manifest.version;
}
