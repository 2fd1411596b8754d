import assert from 'node:assert/strict';
import { test } from 'node:test';
import { madeRun } from './made-run.ts';
import { describeRun } from './report.ts';
import type { Run, Sample } from './samples.ts';
import { judge } from './verdict.ts';

const MIB = 1024 * 1024;

/** The names of the checks that are bad. */
function badOf(run: Run): string[] {
  const { good, checks } = judge(run);
  const bad = checks.filter((check) => !check.good).map(({ name }) => name);
  assert.equal(good, bad.length === 0);
  return bad;
}

/** A good run whose last sample is another one. */
function endingWith(change: (last: Sample) => Sample): Run {
  const run = madeRun();
  return {
    ...run,
    samples: run.samples.map((sample, at) => (at === 119 ? change(sample) : sample)),
  };
}

function withLoad(load: Partial<Sample['load']>): Run {
  return endingWith((last) => ({ ...last, load: { ...last.load, ...load } }));
}

function withServer(server: Partial<Sample['server']>): Run {
  return endingWith((last) => ({ ...last, server: { ...last.server, ...server } }));
}

test('a run in which all went well is good', () => {
  assert.deepEqual(badOf(madeRun()), []);
});

test('each thing that can be wrong makes it bad', () => {
  const run = madeRun();
  const { end } = run;
  assert.ok(end !== undefined);
  for (const [wrong, name] of [
    [withLoad({ lost: 1 }), 'no message is lost without a word'],
    [withLoad({ repeated: 1 }), 'no message comes twice or too late'],
    [withLoad({ problems: { 'no echo': 1 } }), 'clients see nothing unexpected'],
    [
      withServer({ ends: { 'member PING_TIMEOUT': 1, 'close SEND_BUFFER_FULL': 1 } }),
      'the server sees nothing unexpected',
    ],
    [withServer({ errors: { ERR_STRANGE: 1 } }), 'the server sees nothing unexpected'],
    [
      endingWith((last) => ({ ...last, halfOpen: { ...last.halfOpen, found: 3 } })),
      'half-open peers are found in time',
    ],
    [
      endingWith((last) => ({ ...last, halfOpen: { ...last.halfOpen, late: 1 } })),
      'half-open peers are found in time',
    ],
    [endingWith((last) => ({ ...last, engineRestarts: 0 })), 'everything was tried'],
    [withLoad({ malformed: 0 }), 'everything was tried'],
    [withServer({ ends: {} }), 'everything was tried'],
    [
      { ...run, end: { ...end, after: { ...end.after, peers: 1 } } },
      'handles are back to where they were',
    ],
    [
      { ...run, end: { ...end, after: { ...end.after, descriptors: 31 } } },
      'handles are back to where they were',
    ],
    [
      { ...run, end: { ...end, after: { ...end.after, handles: { TLSWrap: 1 } } } },
      'handles are back to where they were',
    ],
    [{ ...run, end: { ...end, endedByItself: false } }, 'the server process ends by itself'],
    [{ ...run, end: { ...end, failures: ['the server process ended'] } }, 'the run went through'],
    [{ ...run, end: undefined }, 'the run went through'],
  ] as const) {
    assert.deepEqual(badOf(wrong), [name]);
  }
  assert.deepEqual(badOf({ ...run, samples: [] }), ['the run went through']);
});

test('errors of the engine are expected only where there is one', () => {
  const without = endingWith((last) => ({ ...last, publisher: undefined, engineRestarts: 0 }));
  const run = { ...without, start: { ...without.start, notRun: ['engine restarts'] } };
  assert.deepEqual(badOf(run), ['the server sees nothing unexpected']);
});

test('memory may swing, but not grow', () => {
  const name = 'memory does not grow';
  assert.deepEqual(badOf(madeRun((second) => (100 + 40 * (second % 7)) * MIB)), []);
  // What is taken in the first quarter is what the connections need.
  assert.deepEqual(badOf(madeRun((second) => Math.min(second, 30) * 10 * MIB)), []);
  // 60 seconds from the middle of the second quarter to that of the last: 24 MiB, and a little over 26.
  assert.deepEqual(badOf(madeRun((second) => (70 + 0.4 * second) * MIB)), []);
  assert.deepEqual(badOf(madeRun((second) => (80 + 0.6 * second) * MIB)), [name]);
  assert.deepEqual(badOf(madeRun((second) => (100 + 2 * second) * MIB)), [name]);
});

test('a report has the figures and the verdict', () => {
  const text = describeRun(madeRun());
  assert.match(text, /^\| lost without a word \| 0 \|$/m);
  assert.match(
    text,
    /^\| half-open peers found \(magic\) \| 4 of 4, the slowest after 14\.0 s \|$/m,
  );
  assert.match(text, /^Verdict: good$/m);
  assert.match(
    describeRun(withLoad({ lost: 3 })),
    /^- BAD: no message is lost without a word: .* 3 lost/m,
  );
});
