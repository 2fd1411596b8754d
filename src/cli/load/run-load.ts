import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientPeer, defaultLimits } from '../../index.ts';
import { HandshakeLoad } from './handshake-load.ts';
import { IdleLoad } from './idle-load.ts';
import type { LatencyHistogram } from './latency-histogram.ts';
import { type Dial, type Load, type LoadPlan, Tally } from './load.ts';
import { MessageLoad } from './message-load.ts';

/** Opening handshakes at once. */
const OPENING_AT_ONCE = 100;
/**
 * After the end, messages on their way are waited for until nothing has come for so long, or for twice as
 * long as the slowest took.
 */
const SILENCE_MS = 1_000;
/** And no longer than this; what is still on its way then is not held against the server. */
const LONGEST_SETTLING_MS = 10_000;
/** How long peers have to close. */
const CLOSE_TIMEOUT_MS = 3_000;
const POLL_MS = 5;

/** What is told while it runs. */
export interface LoadWatch {
  /** So many connections are open, not yet all. */
  opening(connections: number): void;
  /** All connections are open. */
  connected(connections: number, seconds: number): void;
  /** Counting begins, now: `latencies` grows. */
  measuring(latencies: LatencyHistogram): void;
  /** Counting ends, now. */
  measured(): void;
}

export interface LoadResult {
  /** How long it was counted. */
  readonly seconds: number;
  readonly latencies: LatencyHistogram;
  readonly wrong: number;
  readonly failed: number;
  /** Why the first connection was lost. */
  readonly failure: string;
  /** CPU time of this process while it was counted. */
  readonly cpuSeconds: number;
}

/**
 * Opens the connections, loads them, and counts. `ending` ends it early, with what was counted until then.
 * Throws what `connect` does where a connection cannot be opened, and the signal's reason where it ends
 * before all are open.
 */
export async function runLoad(
  plan: LoadPlan,
  watch: LoadWatch,
  ending: AbortSignal,
): Promise<{ result: LoadResult; closed: Promise<void> }> {
  const over = new AbortController();
  const givingUp = new AbortController();
  // Each connection that is being opened listens.
  setMaxListeners(0, givingUp.signal);
  const tally = new Tally(() => over.abort());
  const load = makeLoad(plan, dialOf(plan, givingUp.signal), tally);
  const giveUp = (): void => givingUp.abort(ending.reason);
  ending.addEventListener('abort', giveUp);
  await openAll(plan.connections, load, watch, givingUp);
  ending.removeEventListener('abort', giveUp);
  const end = AbortSignal.any([ending, over.signal]);
  if (plan.warmUpMs > 0) {
    load.start();
    await pause(plan.warmUpMs, end);
  }
  const startedAt = performance.now();
  const cpuAtStart = process.cpuUsage();
  tally.counting = true;
  watch.measuring(tally.latencies);
  if (plan.warmUpMs === 0) load.start();
  await pause(plan.durationMs, end);
  tally.counting = false;
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuAtStart);
  watch.measured();
  load.stop();
  givingUp.abort();
  await settle(load, tally);
  const { latencies, wrong, failed, failure } = tally;
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const result = { seconds, latencies, wrong, failed, failure, cpuSeconds };
  return { result, closed: closeAll(load.peers()) };
}

function makeLoad(plan: LoadPlan, dial: Dial, tally: Tally): Load {
  switch (plan.mode) {
    case 'echo':
    case 'fan-out':
      return new MessageLoad(plan, dial, tally);
    case 'handshake':
      return new HandshakeLoad(plan, dial, tally);
    case 'idle':
      return new IdleLoad(plan, dial, tally);
  }
}

function dialOf(plan: LoadPlan, signal: AbortSignal): Dial {
  const limits = {
    maxMessageBytes: Math.max(plan.size, defaultLimits.maxMessageBytes),
    maxFragments: Number.POSITIVE_INFINITY,
    // How much waits to be sent is bounded by the messages in flight, or by heeding `drain`.
    maxBufferedBytes: Number.POSITIVE_INFINITY,
    ...(plan.rate === undefined ? { highWaterMarkBytes: Number.POSITIVE_INFINITY } : {}),
  };
  return { ...plan.connect, limits, signal };
}

async function openAll(
  connections: number,
  load: Load,
  watch: LoadWatch,
  givingUp: AbortController,
): Promise<void> {
  const startedAt = performance.now();
  let begun = 0;
  let open = 0;
  const openSome = async (): Promise<void> => {
    while (begun < connections) {
      begun++;
      await load.open();
      open++;
      if (open < connections) watch.opening(open);
    }
  };
  const atOnce = Math.min(connections, OPENING_AT_ONCE);
  const openings = Array.from({ length: atOnce }, openSome);
  try {
    await Promise.all(openings);
    givingUp.signal.throwIfAborted();
  } catch (error) {
    givingUp.abort();
    await Promise.allSettled(openings);
    for (const peer of load.peers()) peer.terminate();
    throw error;
  }
  watch.connected(connections, (performance.now() - startedAt) / 1000);
}

/** Waits, or until the signal. */
async function pause(ms: number, end: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: end }).catch(() => undefined);
}

/** Waits for what is on its way. What does not come is wrong. */
async function settle(load: Load, tally: Tally): Promise<void> {
  const startedAt = performance.now();
  let lastAt = startedAt;
  let arrived = tally.arrived;
  for (;;) {
    const { outstanding } = load;
    if (outstanding === 0) return;
    const now = performance.now();
    if (tally.arrived !== arrived) {
      arrived = tally.arrived;
      lastAt = now;
    }
    if (now - startedAt >= LONGEST_SETTLING_MS) return;
    if (now - lastAt >= Math.max(SILENCE_MS, 2 * (tally.latencies.max ?? 0))) {
      tally.wrong += outstanding;
      return;
    }
    await sleep(POLL_MS);
  }
}

async function closeAll(peers: readonly ClientPeer[]): Promise<void> {
  for (const peer of peers) peer.close(1000);
  const late = new AbortController();
  await Promise.race([
    Promise.all(peers.map((peer) => peer.closed)),
    sleep(CLOSE_TIMEOUT_MS, undefined, { signal: late.signal }).catch(() => undefined),
  ]);
  late.abort();
  for (const peer of peers) peer.terminate();
}
