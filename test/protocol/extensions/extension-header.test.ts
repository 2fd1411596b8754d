import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExtensions } from '../../../dist/protocol/extensions/extension-header.js';

const none = undefined;

for (const [lines, expected] of [
  [[], []],
  [['foo'], [{ name: 'foo', params: [] }]],
  [
    [' foo ; a ; b = c;d="e" , bar,'],
    [
      {
        name: 'foo',
        params: [
          ['a', none],
          ['b', 'c'],
          ['d', 'e'],
        ],
      },
      { name: 'bar', params: [] },
    ],
  ],
  [
    ['foo', 'bar; a'],
    [
      { name: 'foo', params: [] },
      { name: 'bar', params: [['a', none]] },
    ],
  ],
  [[',, foo ,,'], [{ name: 'foo', params: [] }]],
  [
    ['foo; a; a=1'],
    [
      {
        name: 'foo',
        params: [
          ['a', none],
          ['a', '1'],
        ],
      },
    ],
  ],
  [['foo; a="\\b\\c"'], [{ name: 'foo', params: [['a', 'bc']] }]],
  [
    ['constructor; __proto__=toString'],
    [{ name: 'constructor', params: [['__proto__', 'toString']] }],
  ],
] as const) {
  test(`${JSON.stringify(lines)} is well-formed`, () => {
    assert.deepEqual(parseExtensions(lines), expected);
  });
}

for (const line of [
  ...[
    '',
    ' ',
    ',',
    ';',
    'foo;',
    'foo; ,',
    'foo bar',
    'foo=bar',
    'foo; a=',
    'foo; a=,',
    'foo; =b',
    'foo;;a',
  ],
  ...[
    'foo; a="',
    'foo; a="b',
    'foo; a=""',
    'foo; a="b c"',
    'foo; a="b"c',
    'foo; a="\\',
    'foo; a="\\"',
    'fo(o',
  ],
  ...[
    `foo; a="${'\\'.repeat(65_536)}`,
    `foo; a="${'\\a'.repeat(32_768)}`,
    `foo${' '.repeat(32_000)}bar`,
  ],
]) {
  test(`${JSON.stringify(line).slice(0, 40)} is malformed`, () => {
    assert.equal(parseExtensions([line]), undefined);
  });
}

test('what is written from its parts is read as these', () => {
  const token = fc.string({
    unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"),
    minLength: 1,
    maxLength: 8,
  });
  const param = fc.tuple(token, fc.option(token, { nil: undefined }));
  const extension = fc.record(
    { name: token, params: fc.array(param, { maxLength: 3 }) },
    { noNullPrototype: true },
  );
  const space = fc.constantFrom('', ' ', '\t ');
  fc.assert(
    fc.property(
      fc.array(extension, { minLength: 1, maxLength: 4 }),
      space,
      fc.boolean(),
      (all, ows, quoted) => {
        const quote = (value: string): string =>
          quoted ? `"${value.replace(/./g, '\\$&')}"` : value;
        const line = all
          .map(({ name, params }) =>
            [
              name,
              ...params.map(([key, value]) =>
                value === undefined ? key : `${key}${ows}=${ows}${quote(value)}`,
              ),
            ].join(`${ows};${ows}`),
          )
          .join(`${ows},${ows}`);
        assert.deepEqual(parseExtensions([line]), all);
      },
    ),
  );
});
