import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { Cores } from './measure.ts';
import { cpuSeconds } from './process-usage.ts';
import type { Machine } from './results.ts';

/** The two cores to run programs on; undefined where there is one, or no `taskset`. */
export function findCores(): Cores | undefined {
  if (availableParallelism() < 2) return undefined;
  const { status } = spawnSync('taskset', ['-c', '1', 'taskset', '-c', '0', 'true']);
  return status === 0 ? { measured: 0, other: 1 } : undefined;
}

export function describeMachine(cores: Cores | undefined): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()} ${process.arch}`,
    node: process.version,
    pinned: cores !== undefined,
    cpuTimes: cpuSeconds(process.pid) !== undefined,
  };
}
