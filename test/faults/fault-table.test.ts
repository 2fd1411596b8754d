import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../documented-code.ts';
import { type Transport, transports } from './transport.ts';

const FAULTS = 94;

interface Row {
  readonly number: number;
  /** Paths below the root. */
  readonly files: readonly string[];
  readonly over: readonly Transport[];
}

function readTable(): Row[] {
  const page = readFileSync(join(root, 'docs', 'security.md'), 'utf8');
  return [...page.matchAll(/^\| (\d+) \|(.*)\|$/gm)].map(([, number, rest = '']) => {
    const cells = rest.split('|').map((cell) => cell.trim());
    assert.equal(cells.length, 4, `row ${number}`);
    const [what, meets, tests = '', over = ''] = cells;
    assert.ok(what !== '' && meets !== '', `row ${number}`);
    const files = [...tests.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = '']) => path);
    const named = over === 'all' ? transports : over.split(', ');
    return {
      number: Number(number),
      files,
      over: transports.filter((transport) => named.includes(transport)),
    };
  });
}

/** What the functions that declare tests run them over, by their name. */
const overOf: Readonly<Record<string, readonly Transport[]>> = {
  test: ['TCP'],
  testOverHttp1: ['TCP', 'TLS'],
  testOverAll: transports,
  testProtocolErrors: transports,
  // Of http2.test.ts.
  testOverBoth: ['h2c', 'h2'],
};

/** The faults whose numbers stand in names of a file's tests, with what those run over. */
function testedIn(path: string): Map<number, Set<Transport>> {
  const tested = new Map<number, Set<Transport>>();
  const source = readFileSync(join(root, path), 'utf8');
  const declared =
    /\b(test\w*)\(\s*(?:\[([^\]]*)\],)?\s*(?:\/\/.*\n\s*)*['`](?:faults? )?((?:\d+, )*\d+): /g;
  for (const [, by = '', listed, numbers = ''] of source.matchAll(declared)) {
    const over = path.endsWith('/http2.test.ts') && by === 'test' ? ['h2c'] : overOf[by];
    const used = transports.filter((transport) =>
      listed === undefined ? over?.includes(transport) : listed.includes(`'${transport}'`),
    );
    assert.ok(used.length > 0, `${path} declares tests with ${by}, which is not known here`);
    for (const number of numbers.split(', ').map(Number)) {
      const known = tested.get(number) ?? new Set<Transport>();
      for (const transport of used) known.add(transport);
      tested.set(number, known);
    }
  }
  return tested;
}

test('the table has each fault once, in order', () => {
  const numbers = readTable().map(({ number }) => number);
  assert.deepEqual(
    numbers,
    Array.from({ length: FAULTS }, (_, at) => at + 1),
  );
});

test('each fault has tests whose names begin with its number, over what the table says', () => {
  for (const { number, files, over } of readTable()) {
    assert.ok(files.length > 0, `fault ${number} has no test`);
    const found = new Set<Transport>();
    for (const path of files) {
      assert.ok(existsSync(join(root, path)), `fault ${number}: there is no ${path}`);
      const used = testedIn(path).get(number);
      assert.ok(used !== undefined, `${path} has no test of fault ${number}`);
      for (const transport of used) found.add(transport);
    }
    assert.deepEqual(
      over,
      transports.filter((transport) => found.has(transport)),
      `what the tests of fault ${number} run over`,
    );
  }
});

test('no test of a fault is missing in the table', () => {
  const rows = new Map(readTable().map((row) => [row.number, row]));
  const names = readdirSync(join(root, 'test', 'faults')).filter((name) =>
    name.endsWith('.test.ts'),
  );
  for (const path of names.map((name) => `test/faults/${name}`)) {
    for (const number of testedIn(path).keys()) {
      assert.ok(
        rows.get(number)?.files.includes(path),
        `fault ${number} is tested in ${path}, too`,
      );
    }
  }
});
