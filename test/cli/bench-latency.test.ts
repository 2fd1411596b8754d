import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { histogramRows } from '../../dist/cli/bench-text.js';
import { LatencyHistogram } from '../../dist/cli/load/latency-histogram.js';

function histogramOf(all: readonly number[]): LatencyHistogram {
  const latencies = new LatencyHistogram();
  for (const ms of all) latencies.record(ms);
  return latencies;
}

/** From a microsecond to an hour, every order of magnitude as often. */
const anyLatency = fc
  .double({ min: Math.log(0.001), max: Math.log(3_600_000), noNaN: true })
  .map((log) => Math.min(3_600_000, Math.max(0.001, Math.exp(log))));
const anyLatencies = fc.array(anyLatency, { minLength: 1, maxLength: 300 });

test('quantiles are true to 1 %, the mean and the maximum exact', () => {
  fc.assert(
    fc.property(anyLatencies, fc.double({ min: 0, max: 1, noNaN: true }), (all, any) => {
      const latencies = histogramOf(all);
      const sorted = all.toSorted((a, b) => a - b);
      for (const fraction of [any, 0, 0.5, 0.9, 0.99, 1]) {
        const rank = Math.max(1, Math.ceil(fraction * all.length));
        const exact = sorted[rank - 1] ?? Number.NaN;
        const told = latencies.quantile(fraction) ?? Number.NaN;
        assert.ok(Math.abs(told - exact) <= exact * 0.01, `${fraction}: ${told}, not ${exact}`);
      }
      assert.equal(latencies.count, all.length);
      assert.equal(latencies.max, sorted.at(-1));
      const sum = all.reduce((a, b) => a + b, 0);
      assert.equal(latencies.mean, sum / all.length);
      assert.ok(Number(latencies.quantile(1)) <= Number(latencies.max));
    }),
  );
});

test('each latency is counted in one part of the scale', () => {
  fc.assert(
    fc.property(anyLatencies, anyLatency, (all, border) => {
      const latencies = histogramOf(all);
      const below = latencies.countBetween(0, border);
      const above = latencies.countBetween(border, Number.POSITIVE_INFINITY);
      assert.equal(below + above, all.length);
      const clearlyBelow = all.filter((ms) => ms < border * 0.99).length;
      const clearlyAbove = all.filter((ms) => ms > border * 1.01).length;
      assert.ok(below >= clearlyBelow && above >= clearlyAbove);
    }),
  );
});

test('beyond its ends a latency counts as the shortest or the longest', () => {
  const latencies = histogramOf([0, 1e-9, 7_200_000, 1e12]);
  assert.ok(Math.abs(Number(latencies.quantile(0.5)) - 0.001) <= 0.00001);
  assert.ok(Math.abs(Number(latencies.quantile(0.75)) - 3_600_000) <= 36_000);
  assert.equal(latencies.max, 1e12);
});

test('where nothing was recorded nothing is told', () => {
  const latencies = new LatencyHistogram();
  assert.equal(latencies.count, 0);
  assert.equal(latencies.mean, undefined);
  assert.equal(latencies.max, undefined);
  assert.equal(latencies.quantile(0.5), undefined);
});

test('the drawing has rows with round ends, the finer the less they span, and rare ones apart', () => {
  const wide = histogramOf([
    0.02,
    ...new Array(700).fill(0.15),
    ...new Array(290).fill(1.7),
    3,
    12,
  ]);
  assert.deepEqual(histogramRows(wide), [
    '0.0201 -    0.1 ms    0.1 %  #',
    '   0.1 -   0.16 ms   70.5 %  ########################################',
    '  0.16 -   0.25 ms    0.0 %',
    '  0.25 -    0.4 ms    0.0 %',
    '   0.4 -   0.63 ms    0.0 %',
    '  0.63 -      1 ms    0.0 %',
    '     1 -    1.6 ms    0.0 %',
    '   1.6 -    2.5 ms   29.2 %  #################',
    '   2.5 -     12 ms    0.2 %  #',
  ]);
  assert.deepEqual(histogramRows(histogramOf([0.9, 1.1, 1.1, 1.3])), [
    ' 0.8 -    1 ms   25.0 %  ####################',
    '   1 - 1.25 ms   50.0 %  ########################################',
    '1.25 -  1.6 ms   25.0 %  ####################',
  ]);
  assert.deepEqual(histogramRows(histogramOf([20])), [
    '20 - 25 ms  100.0 %  ########################################',
  ]);
  assert.equal(histogramRows(histogramOf([0])).length, 1);
});

test('the drawing accounts for all, in few rows', () => {
  fc.assert(
    fc.property(anyLatencies, (all) => {
      const rows = histogramRows(histogramOf(all));
      assert.ok(rows.length <= 12, rows.join('\n'));
      const percents = rows.map((row) => Number(/([\d.]+) %/.exec(row)?.[1]));
      const sum = percents.reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 100) < 1, rows.join('\n'));
    }),
  );
});
