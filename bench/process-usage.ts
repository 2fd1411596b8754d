import { readdirSync, readFileSync } from 'node:fs';

/** The unit of times in /proc on every Linux, whatever the kernel's own (man 5 proc, USER_HZ). */
const TICKS_A_SECOND = 100;

/** User and system time of all threads of a process so far; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The program's name, in parentheses, may have spaces and parentheses.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined) return undefined;
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/**
 * User and system time so far of the threads that a process has, to the nanosecond: for those that use little. Undefined
 * where the system does not tell.
 */
export function threadSeconds(pid: number): number | undefined {
  let nanoseconds = 0;
  for (const thread of list(`/proc/${pid}/task`)) {
    const text = read(`/proc/${pid}/task/${thread}/schedstat`);
    nanoseconds += Number(text?.split(' ')[0] ?? 0);
  }
  return nanoseconds === 0 ? undefined : nanoseconds / 1e9;
}

/** Memory of a process that is in RAM. */
export function residentBytes(pid: number): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
