import type { ProcessSample } from './process-sample.ts';
import type { Run, RunEnd, Sample } from './samples.ts';

const MIB = 1024 * 1024;

const usage: ProcessSample = {
  rss: 100 * MIB,
  heapUsed: 30 * MIB,
  external: 5 * MIB,
  cpuMs: 0,
  descriptors: 30,
  handles: { TCPServerWrap: 3 },
  delay: { p50: 0.1, p99: 2, max: 5 },
};

/** A sample of a run that went well. */
function madeSample(at: number, rss: number = usage.rss): Sample {
  return {
    type: 'sample',
    at,
    server: {
      ...usage,
      rss,
      peers: 100,
      opened: 200,
      received: 1_000,
      published: 500,
      dropped: 7,
      gaps: 3,
      engineUp: true,
      ends: { 'member 1000': 90, 'close SEND_BUFFER_FULL': 2, 'half-open PING_TIMEOUT': 4 },
      errors: { ENGINE_AWAY: 1 },
    },
    load: {
      ...usage,
      connections: 100,
      opened: 200,
      left: { 'in order': 60, terminated: 20, reset: 20 },
      echoes: 300,
      received: 9_000,
      lost: 0,
      announced: 12,
      dropped: 7,
      gaps: 3,
      repeated: 0,
      wrong: {},
      slowClosed: 2,
      malformed: 40,
      unfinished: 20,
      problems: {},
    },
    publisher: { rss: usage.rss, published: 400, unpublished: 3, engineUp: true, errors: {} },
    halfOpen: { cutOff: 4, found: 4, late: 0, slowestMs: 14_000 },
    engineRestarts: 1,
  };
}

const idle: RunEnd['before'] = { descriptors: 30, handles: { TCPServerWrap: 3 }, peers: 0 };

/** A run of 120 seconds; `rssAt` says what memory there was, by the second. */
export function madeRun(rssAt: (second: number) => number = () => usage.rss): Run {
  return {
    start: {
      type: 'run',
      startedAt: '2026-01-02T03:04:05.678Z',
      plan: {
        durationMs: 120_000,
        connections: 100,
        seed: 1,
        pingAfterMs: 5_000,
        pingTimeoutMs: 10_000,
        faults: [],
      },
      machine: 'a machine',
      notRun: [],
      halfOpenBy: 'magic',
    },
    samples: Array.from({ length: 120 }, (_, second) => madeSample(second * 1000, rssAt(second))),
    end: { type: 'end', before: idle, after: idle, endedByItself: true, failures: [] },
  };
}
