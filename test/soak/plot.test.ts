import assert from 'node:assert/strict';
import { test } from 'node:test';
import { madeRun } from './made-run.ts';
import { drawRun } from './plot.ts';

test('a run is drawn with all four panels, within the picture', () => {
  const svg = drawRun(madeRun((second) => (100 + second) * 1024 * 1024));
  assert.match(svg, /^<svg [^>]*viewBox="0 0 880 \d+"/);
  assert.match(svg, /prefers-color-scheme: dark/);
  const height = Number(/viewBox="0 0 880 (\d+)"/.exec(svg)?.[1]);
  const paths = [...svg.matchAll(/ d="([^"]*)"/g)].map(([, path = '']) => path);
  assert.equal(paths.length, 7);
  for (const path of paths) {
    assert.match(path, /^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+$/);
    for (const [, x, y] of path.matchAll(/([\d.]+) ([\d.]+)/g)) {
      assert.ok(Number(x) >= 0 && Number(x) <= 880);
      assert.ok(Number(y) >= 0 && Number(y) <= height);
    }
  }
  for (const title of ['Connections', 'memory', 'event-loop delay', 'Messages lost']) {
    assert.ok(svg.includes(title));
  }
});

test('of a long run, a line has no more points than can be seen', () => {
  const run = madeRun();
  const samples = Array.from({ length: 60 }, () => run.samples).flat();
  const [path = ''] = / d="[^"]*"/.exec(drawRun({ ...run, samples })) ?? [];
  assert.ok(path.split('L').length <= 400);
});
