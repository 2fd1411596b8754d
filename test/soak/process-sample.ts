import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What a process uses. Bytes and milliseconds. */
export interface ProcessSample {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly cpuMs: number;
  /** Open descriptors; undefined where there is no /proc. */
  readonly descriptors: number | undefined;
  /** What keeps the event loop alive, by kind. */
  readonly handles: Readonly<Record<string, number>>;
  /** How late the event loop was since the last sample. */
  readonly delay: { readonly p50: number; readonly p99: number; readonly max: number };
}

const RESOLUTION_MS = 10;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();

export function sampleProcess(): ProcessSample {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const sample = {
    rss,
    heapUsed,
    external,
    cpuMs: Math.round((user + system) / 1000),
    descriptors: countDescriptors(),
    handles: countHandles(),
    delay: {
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      max: late(histogram.max),
    },
  };
  histogram.reset();
  return sample;
}

/** The histogram has the time from one look to the next, in nanoseconds. */
function late(nanoseconds: number): number {
  return Math.round(Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) * 100) / 100;
}

function countDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

function countHandles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
