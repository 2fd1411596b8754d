import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import { resolveLimits } from '../../dist/protocol/limits.js';
import { decodeFrames, encodeFrame } from '../reference-codec.ts';
import { Harness } from './connection-harness.ts';
import { testPlatform } from './test-platform.ts';

for (const isServer of [true, false]) {
  test(`a ${isServer ? 'server sends unmasked and wants masks' : 'client the other way round'}`, () => {
    const settings = connectionSettings(testPlatform, resolveLimits(), isServer);
    const sink = new Harness(isServer);
    settings.sender.text(sink, 'x');
    assert.equal(decodeFrames(sink.written()).frames[0]?.mask === undefined, isServer);
    const parser = settings.parsers.take();
    const frame = encodeFrame({ opcode: 1, payload: [65] });
    parser.parse(sink.connection, frame, 0, frame.length);
    assert.equal(parser.error, isServer ? 'MASK_MISSING' : undefined);
  });
}
