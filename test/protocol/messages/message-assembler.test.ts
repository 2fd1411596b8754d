import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Limits, resolveLimits } from '../../../dist/protocol/limits.js';
import {
  type Message,
  MessageAssembler,
  wholeMessage,
} from '../../../dist/protocol/messages/message-assembler.js';
import { testPlatform } from '../test-platform.ts';

const TEXT = 0x01;
const BINARY = 0x02;
const FIN = 0x80;

interface Frame {
  readonly first: number;
  /** The payload's pieces. */
  readonly pieces: readonly (string | Uint8Array)[];
  /** Where it is more than the pieces. */
  readonly announced?: number;
}

function make(limits: Partial<Limits> = {}): MessageAssembler {
  return new MessageAssembler(testPlatform, resolveLimits(limits));
}

/** Feeds frames, each piece from the middle of a larger chunk. */
function feed(assembler: MessageAssembler, frames: readonly Frame[], borrowed = false): Message[] {
  const messages: Message[] = [];
  for (const { first, pieces, announced } of frames) {
    const chunks = pieces.map((piece) => Buffer.from(piece as Uint8Array));
    const size = announced ?? chunks.reduce((sum, { length }) => sum + length, 0);
    if (!assembler.begin(first, size)) return messages;
    chunks.forEach((chunk, i) => {
      const memory = Buffer.concat([Buffer.from('<<'), chunk, Buffer.from('>>')]);
      const last = announced === undefined && i === chunks.length - 1;
      const message = assembler.add(memory, 2, 2 + chunk.length, last, borrowed);
      if (borrowed) memory.fill(0);
      if (message !== undefined) messages.push(message);
    });
    if (assembler.error !== undefined) return messages;
  }
  return messages;
}

describe('messages', () => {
  const euro = Buffer.from('€');
  const cases: [string, Frame[], Message[]][] = [
    ['a text in one piece', [{ first: FIN | TEXT, pieces: ['häh'] }], ['häh']],
    ['an empty text', [{ first: FIN | TEXT, pieces: [''] }], ['']],
    ['empty bytes', [{ first: FIN | BINARY, pieces: [''] }], [new Uint8Array(0)]],
    ['a text in pieces', [{ first: FIN | TEXT, pieces: ['he', 'l', 'lo'] }], ['hello']],
    [
      'a code point over three pieces',
      [{ first: FIN | TEXT, pieces: [euro.subarray(0, 1), euro.subarray(1, 2), euro.subarray(2)] }],
      ['€'],
    ],
    [
      'a code point over two fragments',
      [
        { first: TEXT, pieces: [euro.subarray(0, 1)] },
        { first: FIN, pieces: [euro.subarray(1)] },
      ],
      ['€'],
    ],
    [
      'empty fragments around',
      [
        { first: BINARY, pieces: [''] },
        { first: 0, pieces: [Uint8Array.of(1, 2)] },
        { first: 0, pieces: [''] },
        { first: FIN, pieces: [''] },
      ],
      [Uint8Array.of(1, 2)],
    ],
    [
      'nothing but empty fragments',
      [
        { first: TEXT, pieces: [''] },
        { first: FIN, pieces: [''] },
      ],
      [''],
    ],
    [
      'several',
      [
        { first: TEXT, pieces: ['a', 'b'] },
        { first: FIN, pieces: ['c'] },
        { first: FIN | BINARY, pieces: [Uint8Array.of(1), Uint8Array.of(2)] },
        { first: FIN | TEXT, pieces: ['d'] },
      ],
      ['abc', Uint8Array.of(1, 2), 'd'],
    ],
  ];
  for (const [name, frames, expected] of cases) {
    for (const borrowed of [false, true]) {
      test(`${name}${borrowed ? ', from memory that is used again' : ''}`, () => {
        const assembler = make();
        assert.deepEqual(feed(assembler, frames, borrowed), expected);
        assert.equal(assembler.error, undefined);
      });
    }
  }
});

describe('UTF-8', () => {
  const cut = Buffer.from('€').subarray(0, 2);
  const wrong: [string, Frame[]][] = [
    ['in one piece', [{ first: FIN | TEXT, pieces: [Uint8Array.of(0xff)] }]],
    ['cut off in one piece', [{ first: FIN | TEXT, pieces: [cut] }]],
    ['cut off after several', [{ first: FIN | TEXT, pieces: ['a', cut] }]],
    [
      'in a frame that is not complete',
      [{ first: FIN | TEXT, pieces: [Uint8Array.of(0xff)], announced: 9 }],
    ],
    ['in a message that is not finished', [{ first: TEXT, pieces: [Uint8Array.of(0x41, 0xff)] }]],
  ];
  for (const [name, frames] of wrong) {
    test(`a wrong byte ${name} fails at once`, () => {
      const assembler = make();
      assert.deepEqual(feed(assembler, frames), []);
      assert.equal(assembler.error, 'INVALID_UTF8');
    });
  }

  test('is not asked of binary messages', () => {
    const bytes = Uint8Array.of(0xff, 0xfe);
    assert.deepEqual(feed(make(), [{ first: FIN | BINARY, pieces: [bytes, bytes] }]), [
      Uint8Array.of(0xff, 0xfe, 0xff, 0xfe),
    ]);
  });
});

describe('limits', () => {
  test('a message may have the size, in one frame or in several', () => {
    const assembler = make({ maxMessageBytes: 4 });
    const fragments = [
      { first: TEXT, pieces: ['ab'] },
      { first: FIN, pieces: ['cd'] },
    ];
    assert.deepEqual(feed(assembler, [{ first: FIN | TEXT, pieces: ['abcd'] }, ...fragments]), [
      'abcd',
      'abcd',
    ]);
  });

  test('and not one byte more, told by the header alone', () => {
    const whole = make({ maxMessageBytes: 4 });
    assert.ok(!whole.begin(FIN | BINARY, 5));
    assert.equal(whole.error, 'MESSAGE_TOO_BIG');
    const pieces = make({ maxMessageBytes: 4 });
    feed(pieces, [{ first: TEXT, pieces: ['abcd'] }]);
    assert.ok(!pieces.begin(FIN, 1));
    assert.equal(pieces.error, 'MESSAGE_TOO_BIG');
  });

  test('a message may have so many fragments, and not one more', () => {
    const assembler = make({ maxFragments: 3 });
    const three = [
      { first: TEXT, pieces: [''] },
      { first: 0, pieces: [''] },
      { first: FIN, pieces: ['a'] },
    ];
    assert.deepEqual(feed(assembler, [...three, ...three]), ['a', 'a']);
    assert.deepEqual(feed(assembler, [...three.slice(0, 2), { first: 0, pieces: [''] }]), []);
    assert.ok(!assembler.begin(FIN, 0));
    assert.equal(assembler.error, 'TOO_MANY_FRAGMENTS');
  });
});

describe('memory', () => {
  test('a piece of an announced megabyte takes no megabyte', () => {
    const assemblers = Array.from({ length: 200 }, () => make());
    const before = process.memoryUsage().arrayBuffers;
    const chunk = new Uint8Array(10);
    for (const assembler of assemblers) {
      assert.ok(assembler.begin(FIN | BINARY, 1024 * 1024));
      assembler.add(chunk, 0, 10, false, false);
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 1024 * 1024, `${grown} bytes`);
    assert.ok(assemblers.every(({ error }) => error === undefined));
  });

  test('a large message in many pieces is whole, whatever their sizes', () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 0xff));
    for (const size of [1000, 65_536, 299_999]) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      const [one] = feed(make(), [{ first: FIN | BINARY, pieces }]);
      assert.ok(one instanceof Uint8Array && bytes.equals(one));
      const fragments = pieces.map((piece, i) => ({
        first: (i === 0 ? BINARY : 0) | (i === pieces.length - 1 ? FIN : 0),
        pieces: [piece],
      }));
      const [many] = feed(make(), fragments);
      assert.ok(many instanceof Uint8Array && bytes.equals(many));
      assert.ok(many.buffer.byteLength < 4 * bytes.length, 'it pins little more than itself');
    }
  });

  test('the buffer is never larger than what the message can become', () => {
    const [framed] = feed(make(), [
      { first: FIN | BINARY, pieces: [new Uint8Array(600), new Uint8Array(400)] },
    ]);
    assert.ok(framed instanceof Uint8Array && framed.length === 1000);
    assert.equal(framed.buffer.byteLength, 1000, 'the last frame tells how long it will be');
    const [fragmented] = feed(make({ maxMessageBytes: 1100 }), [
      { first: BINARY, pieces: [new Uint8Array(600)] },
      { first: 0, pieces: [new Uint8Array(300)] },
      { first: FIN, pieces: [new Uint8Array(50)] },
    ]);
    assert.ok(fragmented instanceof Uint8Array && fragmented.length === 950);
    assert.equal(fragmented.buffer.byteLength, 1100, 'before it the limit bounds it');
  });

  test('bytes that fill their chunk are a view of it, unless it is used again', () => {
    const chunk = new Uint8Array(1000).fill(7);
    const viewing = make();
    viewing.begin(FIN | BINARY, 998);
    const view = viewing.add(chunk, 2, 1000, true, false);
    assert.ok(view instanceof Uint8Array && view.buffer === chunk.buffer && view.length === 998);
    const copying = make();
    copying.begin(FIN | BINARY, 998);
    const copy = copying.add(chunk, 2, 1000, true, true);
    assert.ok(copy instanceof Uint8Array && copy.buffer !== chunk.buffer && copy.length === 998);
  });

  test('a small message does not pin a large chunk', () => {
    const chunk = new Uint8Array(65_536);
    const assembler = make();
    assembler.begin(FIN | BINARY, 10);
    const message = assembler.add(chunk, 100, 110, true, false);
    assert.ok(message instanceof Uint8Array);
    assert.equal(message.buffer.byteLength, 10);
  });
});

describe('a message that lies whole in one frame and one piece', () => {
  const cases: [name: string, isText: boolean, string | Uint8Array, Message | undefined][] = [
    ['text', true, 'häh', 'häh'],
    ['no text', true, '', ''],
    ['bytes', false, Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    ['what is not UTF-8', true, Uint8Array.of(0x61, 0xff), undefined],
  ];
  for (const [name, isText, payload, expected] of cases) {
    for (const borrowed of [false, true]) {
      test(`${name}, ${borrowed ? 'borrowed' : 'ours to keep'}: as the assembler makes it`, () => {
        const bytes = Buffer.from(payload as Uint8Array);
        const memory = Buffer.concat([Buffer.from('<<'), bytes, Buffer.from('>>')]);
        const message = wholeMessage(testPlatform, isText, memory, 2, 2 + bytes.length, borrowed);
        if (borrowed) memory.fill(0);
        assert.deepEqual(message, expected);
        const first = FIN | (isText ? TEXT : BINARY);
        const assembled = feed(make(), [{ first, pieces: [payload] }], borrowed);
        assert.deepEqual(message === undefined ? [] : [message], assembled);
      });
    }
  }
});

describe('the payload of a compressed message', () => {
  const RSV1 = 0x40;

  /** Feeds frames, each piece alone in its memory, which is used again; returns what was gathered. */
  function gather(assembler: MessageAssembler, frames: readonly Frame[]): number[] | undefined {
    let payload: number[] | undefined;
    for (const { first, pieces } of frames) {
      const chunks = pieces.map((piece) => Buffer.from(piece as Uint8Array));
      const size = chunks.reduce((sum, { length }) => sum + length, 0);
      if (!assembler.begin(first, size)) return undefined;
      chunks.forEach((chunk, i) => {
        assert.equal(payload, undefined);
        const memory = Buffer.concat([Buffer.from('<<'), chunk, Buffer.from('>>')]);
        const end = 2 + chunk.length;
        const found = assembler.addCompressed(memory, 2, end, i === chunks.length - 1);
        if (found !== undefined) payload = [...(found === memory ? chunk : found)];
        memory.fill(0);
      });
    }
    return payload;
  }

  const all = [0xc3, 0x28, 3, 4, 5, 6];
  const bytes = (...list: number[]) => Uint8Array.from(list);
  const cases: [string, Frame[]][] = [
    ['in one piece', [{ first: FIN | RSV1 | TEXT, pieces: [bytes(...all)] }]],
    [
      'in pieces',
      [
        {
          first: FIN | RSV1 | BINARY,
          pieces: [bytes(0xc3), bytes(0x28, 3, 4), bytes(5), bytes(6)],
        },
      ],
    ],
    [
      'in fragments, some of them empty',
      [
        { first: RSV1 | TEXT, pieces: [''] },
        { first: 0, pieces: [bytes(0xc3, 0x28, 3)] },
        { first: 0, pieces: [''] },
        { first: 0, pieces: [bytes(4), bytes(5, 6)] },
        { first: FIN, pieces: [''] },
      ],
    ],
    [
      'in the last fragment alone',
      [
        { first: RSV1 | BINARY, pieces: [''] },
        { first: FIN, pieces: [bytes(...all)] },
      ],
    ],
  ];
  for (const [name, frames] of cases) {
    test(`${name}; what is in it is not looked at`, () => {
      const assembler = make();
      assert.deepEqual(gather(assembler, frames), all);
      assert.equal(assembler.error, undefined);
      assert.ok(assembler.isCompressed);
      assert.equal(assembler.isText, ((frames[0]?.first ?? 0) & TEXT) !== 0);
    });
  }

  test('may be empty', () => {
    const fragments = [
      { first: RSV1 | TEXT, pieces: [''] },
      { first: FIN, pieces: [''] },
    ];
    assert.deepEqual(gather(make(), fragments), []);
  });

  test('what lies whole in its chunk is not copied', () => {
    const assembler = make();
    const chunk = bytes(...all);
    assembler.begin(FIN | RSV1 | TEXT, 4);
    assert.equal(assembler.addCompressed(chunk, 1, 5, true), chunk);
  });

  test('may be longer than the message: as long as what cannot be compressed becomes', () => {
    const limits = { maxMessageBytes: 80 };
    for (const [length, error] of [
      [80 + 10 + 2 + 64, undefined],
      [80 + 10 + 2 + 65, 'MESSAGE_TOO_BIG'],
    ] as const) {
      const whole = make(limits);
      assert.equal(whole.begin(FIN | RSV1 | TEXT, length), error === undefined);
      assert.equal(whole.error, error);
      const fragments = make(limits);
      assert.ok(fragments.begin(RSV1 | TEXT, 50));
      fragments.addCompressed(new Uint8Array(50), 0, 50, true);
      assert.equal(fragments.begin(FIN, length - 50), error === undefined);
      assert.equal(fragments.error, error);
    }
    const plain = make(limits);
    assert.ok(!plain.begin(FIN | TEXT, 81));
  });

  test('is each message’s own matter', () => {
    const assembler = make();
    assembler.begin(FIN | RSV1 | TEXT, 1);
    assembler.addCompressed(bytes(0xff), 0, 1, true);
    assembler.begin(FIN | TEXT, 1);
    assert.ok(!assembler.isCompressed);
  });

  test('has a limit for its fragments too', () => {
    const assembler = make({ maxFragments: 2 });
    assert.ok(assembler.begin(RSV1 | TEXT, 1));
    assert.ok(assembler.begin(0, 1));
    assert.ok(!assembler.begin(FIN, 1));
    assert.equal(assembler.error, 'TOO_MANY_FRAGMENTS');
  });
});
