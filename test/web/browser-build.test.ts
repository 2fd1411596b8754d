/** What a bundler makes of `aperto` for a browser. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundle } from './bundle.ts';

describe('the browser build', () => {
  test('reconnect is at most 3 KB, minified and compressed', async (t) => {
    const { text } = await bundle(`export { reconnect } from 'aperto';`);
    const bytes = gzipSync(text, { level: 9 }).length;
    t.diagnostic(`${text.length} bytes minified, ${bytes} compressed`);
    assert.ok(bytes <= 3 * 1024, `${bytes} bytes`);
    assert.ok(!text.includes('WebSocketStream'), 'what is not used is left out');
  });

  test('the native WebSocket costs next to nothing', async () => {
    const { text } = await bundle(`export { WebSocket } from 'aperto';`);
    assert.ok(text.length < 200, text);
  });

  test('there is nothing of Node in it', async () => {
    const { text, inputs } = await bundle(`export * from 'aperto';`);
    assert.ok(!/node:|\brequire\b|\bprocess\.|\bBuffer\b|setImmediate/.test(text));
    const own = inputs.filter((path) => path !== '<stdin>');
    assert.ok(own.length > 5);
    assert.deepEqual(
      own.filter((path) => !/^dist\/(web|protocol)\//.test(path)),
      [],
    );
  });

  test('has these names and no other', async () => {
    const names = Object.keys(await import('../../dist/web/browser.js'));
    assert.deepEqual(names.sort(), [
      'ApertoError',
      'WebSocket',
      'WebSocketError',
      'WebSocketStream',
      'reconnect',
    ]);
  });
});
