import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgreedCompression } from '../../../dist/protocol/extensions/agreed-compression.js';
import type {
  CompressionOptions,
  DeflateAgreement,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import { FrameSender } from '../../../dist/protocol/frames/frame-sender.js';
import { resolveLimits } from '../../../dist/protocol/limits.js';
import { Harness } from '../connection-harness.ts';
import { compressionSettings, NO_TAKEOVER, TAKEOVER } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

function agreed(agreement: DeflateAgreement, options: CompressionOptions = {}) {
  const settings = compressionSettings(agreement, options);
  const sender = new FrameSender(testPlatform, false);
  const compression = new AgreedCompression(settings, testPlatform, resolveLimits(), sender);
  return { compression, ...settings };
}

const parametersOf = (deflaters: ReturnType<typeof agreed>['port']['deflaters']) =>
  deflaters.map(({ isOwn, parameters }) => [isOwn, parameters]);

describe('without takeover', () => {
  test('all connections share one deflater and one inflater', () => {
    const { compression, port } = agreed(NO_TAKEOVER);
    assert.ok(compression.newDeflater());
    assert.equal(compression.newDeflater(), compression.newDeflater());
    assert.equal(compression.newInflater(), compression.newInflater());
    compression.newDeflater()?.close();
    compression.newInflater().close();
    assert.deepEqual([port.deflaters.length, port.inflaters.length], [1, 1]);
    assert.ok(!port.deflaters[0]?.isOwn && !port.inflaters[0]?.isOwn);
  });

  test('with the window that was agreed on, and the effort and memory of the options', () => {
    const { port } = agreed({ ...NO_TAKEOVER, deflateWindowBits: 11 }, { level: 7, memLevel: 3 });
    const parameters = { windowBits: 11, level: 7, memLevel: 3 };
    assert.deepEqual(parametersOf(port.deflaters), [[false, parameters]]);
  });
});

describe('with takeover', () => {
  test('each connection has its own, made when it is needed', () => {
    const { compression, port } = agreed(
      { ...TAKEOVER, deflateWindowBits: 12, inflateWindowBits: 10 },
      { level: 2, memLevel: 5 },
    );
    const parameters = { windowBits: 12, level: 2, memLevel: 5 };
    assert.deepEqual(parametersOf(port.deflaters), [[false, parameters]]);
    assert.equal(port.inflaters.length, 0);
    const deflaters = [compression.newDeflater(), compression.newDeflater()];
    const inflaters = [compression.newInflater(), compression.newInflater()];
    assert.equal(port.deflaters.length, 1);
    const sink = new Harness(true, {}, compressionSettings());
    for (const deflater of deflaters) deflater?.text(sink, 'hello');
    assert.deepEqual(parametersOf(port.deflaters), [
      [false, parameters],
      [true, parameters],
      [true, parameters],
    ]);
    assert.deepEqual(
      port.inflaters.map(({ isOwn, windowBits }) => [isOwn, windowBits]),
      [
        [true, 10],
        [true, 10],
      ],
    );
    deflaters[1]?.close();
    inflaters[0]?.close();
    assert.deepEqual(
      port.deflaters.map(({ closes }) => closes),
      [0, 0, 1],
    );
    assert.deepEqual(
      port.inflaters.map(({ closes }) => closes),
      [1, 0],
    );
  });

  test('in one direction, the other is shared', () => {
    const deflates = agreed({ ...NO_TAKEOVER, deflateTakeover: true });
    assert.notEqual(deflates.compression.newDeflater(), deflates.compression.newDeflater());
    assert.equal(deflates.compression.newInflater(), deflates.compression.newInflater());
    const inflates = agreed({ ...NO_TAKEOVER, inflateTakeover: true });
    assert.equal(inflates.compression.newDeflater(), inflates.compression.newDeflater());
    assert.notEqual(inflates.compression.newInflater(), inflates.compression.newInflater());
  });
});

for (const deflateTakeover of [false, true]) {
  test(`a window of 8 bits: nothing is compressed, but read; takeover ${deflateTakeover}`, () => {
    const { compression, port } = agreed({
      ...NO_TAKEOVER,
      deflateTakeover,
      deflateWindowBits: 8,
    });
    assert.equal(compression.newDeflater(), undefined);
    assert.equal(port.deflaters.length, 0);
    assert.ok(compression.newInflater());
  });
}

test('connections with other settings share what they compress with, as the port has it', () => {
  const first = compressionSettings();
  const second = { ...compressionSettings(NO_TAKEOVER, { threshold: 99 }), port: first.port };
  const sender = new FrameSender(testPlatform, false);
  for (const settings of [first, second]) {
    new AgreedCompression(settings, testPlatform, resolveLimits(), sender).newDeflater();
  }
  assert.equal(first.port.deflaters.length, 1);
});
