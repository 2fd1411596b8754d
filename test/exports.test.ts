import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import * as aperto from '../dist/index.js';

const require = createRequire(import.meta.url);

/** The public names. Whoever changes this list changes the API. */
const names = [
  'ApertoError',
  'CloseCode',
  'MemoryEngine',
  'RejectUpgrade',
  'attach',
  'WebSocket',
  'WebSocketError',
  'WebSocketStream',
  'connect',
  'createPair',
  'memoryHistory',
  'memoryPresence',
  'defaultLimits',
  'errorTable',
  'prepareMessage',
  'prometheusHandler',
  'reconnect',
  'serve',
];

describe('the root export', () => {
  test('has these names and no other', () => {
    assert.deepEqual(Object.keys(aperto).sort(), [...names].sort());
  });

  test('is what the package is called', async () => {
    const byName: object = await import('aperto');
    assert.equal(byName, aperto);
  });

  test('is all there is to import, besides package.json', async () => {
    for (const inner of ['aperto/dist/index.js', 'aperto/node/server', 'aperto/src/index.ts']) {
      await assert.rejects(import(inner), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }, inner);
    }
    assert.match(require.resolve('aperto/package.json'), /package\.json$/);
  });

  test('has close codes by their names, and limits, that agree with the documents', () => {
    assert.equal(aperto.CloseCode.GOING_AWAY, 1001);
    assert.equal(aperto.defaultLimits.maxMessageBytes, 1_048_576);
    for (const [code, row] of Object.entries(aperto.errorTable)) {
      assert.match(code, /^[A-Z][A-Z0-9_]*$/);
      assert.ok(row.message.length > 0);
      assert.ok(['peer', 'local', 'network'].includes(row.side), code);
    }
  });

  test('has errors that tell what their row says', () => {
    const cause = new Error('inner');
    const error = new aperto.ApertoError('MESSAGE_TOO_BIG', aperto.errorTable.MESSAGE_TOO_BIG, {
      detail: '2 MiB',
      cause,
    });
    assert.ok(error instanceof Error);
    assert.equal(error.name, 'ApertoError');
    assert.equal(error.code, 'MESSAGE_TOO_BIG');
    assert.equal(error.closeCode, 1009);
    assert.equal(error.cause, cause);
    assert.match(error.message, /2 MiB/);
  });
});

describe('the package', () => {
  test('depends on nothing and runs nothing when it is installed', async () => {
    const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
    const manifest: Record<string, unknown> = JSON.parse(text);
    for (const field of [
      'dependencies',
      'peerDependencies',
      'optionalDependencies',
      'bundledDependencies',
      'bundleDependencies',
      'gypfile',
    ]) {
      assert.equal(manifest[field], undefined, field);
    }
    const scripts = Object.keys(manifest['scripts'] ?? {});
    const installing = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    assert.deepEqual(
      scripts.filter((script) => installing.includes(script)),
      [],
    );
    assert.equal(manifest['type'], 'module');
    assert.equal(manifest['sideEffects'], false);
  });
});
