import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ConformanceServer } from './conformance-server.ts';
import type { Implementation } from './differences/difference.ts';
import { page, render } from './differences-document.ts';
import { observeInNode, type Which } from './node-websocket.ts';
import { cases, type Observations } from './websocket-cases.ts';
import {
  compare,
  differences,
  type Observed,
  selectionFor,
  themes,
  versions,
} from './websocket-differences.ts';

const { node } = process.versions;
const major = Number(node.split('.')[0]);

function ours(): Observed {
  const onOld: readonly Implementation[] = major < 22 ? ['aperto-on-node-20'] : [];
  return { who: ['aperto', ...onOld], isExact: true };
}

/** As the newest line that is not newer. */
function globalOne(): Observed {
  const line = major < 24 ? 'node-22' : major < 26 ? 'node-24' : 'node-26';
  return { who: [line], isExact: versions[line] === node };
}

function runOver(name: string, which: Which, observed: Observed): void {
  describe(`the cases over ${name}`, () => {
    let observations: Observations;

    before(async () => {
      await using server = await ConformanceServer.start();
      observations = await observeInNode(which, `ws://${server.host}`, selectionFor(observed));
    });

    for (const [theme, members] of themes()) {
      test(theme, (t) => {
        const { seen, wanted, repaired } = compare(observations, members, observed);
        for (const one of repaired) t.diagnostic(`listed, and as the standard has it: ${one}`);
        assert.deepEqual(seen, wanted);
      });
    }
  });
}

runOver('our WebSocket', 'ours', ours());
// Node has one from 22 on.
if (Reflect.has(globalThis, 'WebSocket')) {
  runOver(`the WebSocket of Node ${major}`, 'global', globalOne());
}

describe('the list of differences', () => {
  const entries = differences.flatMap(({ instead }) =>
    instead.flatMap(({ who, seen }) =>
      Object.entries(seen).flatMap(([name, one]) => who.map((by) => ({ name, by, seen: one }))),
    ),
  );

  test('cases have different names', () => {
    assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  });

  test('each is of a case, and is none of what is expected', () => {
    for (const { name, by, seen } of entries) {
      const one = cases.find((each) => each.name === name);
      assert.ok(one !== undefined, `there is no case ${name}`);
      assert.ok(!isDeepStrictEqual(one.expected, seen), `${name} by ${by} is as expected`);
    }
  });

  test('none is there twice', () => {
    const seen = entries.map(({ name, by }) => `${by}, ${name}`);
    assert.deepEqual(
      seen.filter((one, index) => seen.indexOf(one) !== index),
      [],
    );
  });

  test('docs/websocket-differences.md says what the list says', () => {
    const isSame = readFileSync(page, 'utf8') === render();
    assert.ok(isSame, 'it is stale: run npm run build && node build/web/differences-document.js');
  });
});
