import assert from 'node:assert/strict';
import { type ClientPeer, defaultLimits, type PeerHandlers } from '../../dist/index.js';
import { jobs } from '../../dist/node/compression/job-queue.js';
import { nodeCompression } from '../../dist/node/compression/node-compression.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import type { SessionSettings } from '../../dist/node/peer-handlers.js';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import { newCounters } from '../../dist/protocol/extensions/compression-counters.js';
import { resolveCompression } from '../../dist/protocol/extensions/permessage-deflate.js';
import type { Limits } from '../../dist/protocol/limits.js';
import { until } from './ways-of-reading.ts';

export interface CompressingOptions {
  readonly takeover: boolean;
  readonly threshold?: number;
  readonly limits?: Partial<Limits>;
  readonly handlers?: PeerHandlers<ClientPeer>;
}

/** Of a server's sessions that agreed on compression, in both directions alike. */
export function compressingSettings({
  takeover,
  threshold = 1_024,
  limits = {},
  handlers = {},
}: CompressingOptions): SessionSettings<ClientPeer> {
  const options = resolveCompression({ takeover, threshold });
  assert.ok(options !== undefined);
  const counters = newCounters();
  const agreement = {
    deflateTakeover: takeover,
    deflateWindowBits: 15,
    inflateTakeover: takeover,
    inflateWindowBits: 15,
  };
  const agreed = { agreement, options, port: nodeCompression, counters };
  return {
    ...connectionSettings(nodePlatform, { ...defaultLimits, ...limits }, true, agreed),
    extensions: '',
    counters,
    sharedReadBuffer: false,
    handlers,
    slowPeers: 'close',
    onError: assert.fail,
    flushPublished() {},
    onClosed() {},
    onCloseHandled() {},
    onDropped() {},
  };
}

/** Waits until no message is compressed or inflated on another thread, nor waits for that. */
export async function untilThreadsAreDone(): Promise<void> {
  await until(
    () => `the threads to be done: ${jobs.running} run, ${jobs.waiting} wait`,
    () => jobs.running === 0 && jobs.waiting === 0,
  );
}
