import { mostMsUntilFound } from './plan.ts';
import type { Check, Counts, Idle, Run, Sample, Verdict } from './samples.ts';

const MIB = 1024 * 1024;
/** Samples that a quarter must have to say anything about memory. */
const LEAST_SAMPLES = 20;

/** How each kind of peer may end: by the code of its error, or of its close frame. */
const endsOf: Readonly<Record<string, readonly string[]>> = {
  member: ['1000', 'CONNECTION_LOST'],
  drop: ['1000'],
  latest: ['1000'],
  close: ['1000', 'SEND_BUFFER_FULL'],
  malformed: [
    ...['RESERVED_BITS', 'RESERVED_OPCODE', 'MASK_MISSING', 'LENGTH_NOT_MINIMAL'],
    ...['LENGTH_MOST_SIGNIFICANT_BIT', 'CONTROL_FRAGMENTED', 'CONTROL_TOO_LONG'],
    ...['CONTINUATION_UNEXPECTED', 'MESSAGE_INTERLEAVED', 'INVALID_UTF8', 'MESSAGE_TOO_BIG'],
    ...['INFLATE_CORRUPT', 'INFLATION_RATIO', 'TOO_MANY_FRAGMENTS', 'MESSAGE_TIMEOUT'],
    ...['CONTROL_FLOOD', 'CLOSE_LENGTH', 'CLOSE_CODE'],
  ],
  'half-open': ['PING_TIMEOUT', 'SEND_STALLED'],
};

/** What `onError` may be told: that the engine is killed is no secret. */
const errorsWithEngine: readonly string[] = ['ENGINE_AWAY', 'PUBLISH_FAILED'];

/** What memory may grow by from the second quarter to the last, by a line fitted to it. */
function mostGrowth(rssBefore: number): number {
  return 16 * MIB + 0.1 * rssBefore;
}

/** Judges a run. Only what can be seen in what was written down counts. */
export function judge(run: Run): Verdict {
  const last = run.samples.at(-1);
  const checks = last === undefined ? [] : checksOf(run, last);
  const { end } = run;
  checks.unshift(
    check(
      'the run went through',
      end !== undefined && last !== undefined && end.failures.length === 0,
      [
        ...(end === undefined ? ['it has no end'] : end.failures),
        ...(last === undefined ? ['there are no samples'] : []),
      ],
    ),
  );
  return { type: 'verdict', good: checks.every(({ good }) => good), checks };
}

function check(name: string, good: boolean, details: readonly string[]): Check {
  return { name, good, detail: details.join('; ') };
}

function checksOf({ start, samples, end }: Run, last: Sample): Check[] {
  const { load, server, halfOpen, publisher } = last;
  const { plan } = start;
  const problems = Object.entries(load.problems).map(([what, times]) => `${what} (${times})`);
  const withEngine = publisher !== undefined;
  const strange = [
    ...unexpectedEnds(server.ends),
    ...unexpectedErrors(server.errors, withEngine),
    ...unexpectedErrors(publisher?.errors ?? {}, withEngine),
  ];
  const most = mostMsUntilFound(plan);
  return [
    check('no message is lost without a word', load.lost === 0, [
      `${load.received} received, ${load.lost} lost, ${load.announced} lost and announced, ${load.dropped} dropped by policy`,
    ]),
    check('no message comes twice or too late', load.repeated === 0, [
      `${load.repeated} did`,
      ...Object.entries(load.wrong).map(([what, times]) => `${what} ${times}`),
    ]),
    check('clients see nothing unexpected', problems.length === 0, problems),
    check('the server sees nothing unexpected', strange.length === 0, strange),
    check(
      'half-open peers are found in time',
      halfOpen.late === 0 && halfOpen.cutOff === halfOpen.found,
      [
        `${halfOpen.found} of ${halfOpen.cutOff}, the slowest after ${halfOpen.slowestMs} of ${most} ms`,
      ],
    ),
    memoryCheck(samples, plan.durationMs),
    ...(end === undefined
      ? []
      : [
          idleCheck(end.before, end.after),
          check('the server process ends by itself', end.endedByItself, []),
        ]),
    exercised(last, start.notRun.length === 0),
  ];
}

function unexpectedEnds(ends: Counts): string[] {
  return Object.entries(ends).flatMap(([end, times]) => {
    const [kind = '', why = ''] = end.split(' ');
    return endsOf[kind]?.includes(why) === true ? [] : [`${end} (${times})`];
  });
}

function unexpectedErrors(errors: Counts, withEngine: boolean): string[] {
  return Object.entries(errors).flatMap(([code, times]) =>
    withEngine && errorsWithEngine.includes(code) ? [] : [`${code} (${times})`],
  );
}

function idleCheck(before: Idle, after: Idle): Check {
  const more: string[] = [];
  if (after.peers > 0) more.push(`${after.peers} peers`);
  if ((after.descriptors ?? 0) > (before.descriptors ?? 0)) more.push('descriptors');
  for (const [kind, count] of Object.entries(after.handles)) {
    // A timer or an immediate may just be under way.
    const spare = kind === 'Timeout' || kind === 'Immediate' ? 2 : 0;
    if (count > (before.handles[kind] ?? 0) + spare) more.push(kind);
  }
  const now = `${before.descriptors ?? '?'} descriptors before, ${after.descriptors ?? '?'} after`;
  const left = more.length === 0 ? [] : [`left: ${more.join(', ')}`];
  return check('handles are back to where they were', more.length === 0, [now, ...left]);
}

/** What was to happen has happened: a soak in which nothing was wrong says nothing. */
function exercised({ load, server, halfOpen, engineRestarts }: Sample, withEngine: boolean): Check {
  const amounts: Readonly<Record<string, number>> = {
    'messages received': load.received,
    echoes: load.echoes,
    'left in order': load.left['in order'] ?? 0,
    terminated: load.left['terminated'] ?? 0,
    reset: load.left['reset'] ?? 0,
    'dropped by policy': server.dropped,
    'closed as slow': server.ends['close SEND_BUFFER_FULL'] ?? 0,
    malformed: load.malformed,
    'unfinished handshakes': load.unfinished,
    'half-open peers': halfOpen.cutOff,
    ...(withEngine ? { 'engine restarts': engineRestarts, gaps: load.gaps } : {}),
  };
  const never = Object.entries(amounts).filter(([, amount]) => amount === 0);
  return check('everything was tried', never.length === 0, [
    never.length === 0
      ? Object.entries(amounts)
          .map(([name, amount]) => `${amount} ${name}`)
          .join(', ')
      : `never: ${never.map(([name]) => name).join(', ')}`,
  ]);
}

function memoryCheck(samples: readonly Sample[], durationMs: number): Check {
  const name = 'memory does not grow';
  // While all leave, it says nothing.
  const held = samples.filter(({ at }) => at >= durationMs / 4 && at <= durationMs);
  if (held.length < 3 * LEAST_SAMPLES) {
    return check(name, true, [`not judged: the run is too short, ${held.length} samples`]);
  }
  const points = held.map(({ at, server }) => [at, server.rss] as const);
  const slope = slopeOf(points);
  // From the middle of the second quarter to the middle of the last one.
  const growth = slope * (durationMs / 2);
  const second = held.filter(({ at }) => at < durationMs / 2);
  const before = second.reduce((sum, { server }) => sum + server.rss, 0) / second.length;
  const bound = mostGrowth(before);
  return check(name, growth <= bound, [
    `RSS ${inMib(before)} in the second quarter, ${inMib(growth)} more in the last by a fitted line; allowed: ${inMib(bound)}`,
  ]);
}

/** By least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}

export function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
