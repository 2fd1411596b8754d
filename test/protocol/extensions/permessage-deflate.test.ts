import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  type Extension,
  parseExtensions,
} from '../../../dist/protocol/extensions/extension-header.js';
import {
  acceptOffers,
  type CompressionOptions,
  checkAccepted,
  deflateOffer,
  type ResolvedCompression,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import {
  agreement,
  BOTH_NO,
  CLIENT_BITS,
  CLIENT_NO,
  deflate,
  parse,
  resolve,
  SERVER_BITS,
  SERVER_NO,
} from './deflate-header.ts';

const defaults = {
  takeover: false,
  windowBits: 15,
  peerWindowBits: 15,
  level: 1,
  memLevel: 8,
  threshold: 1024,
};

const takeover = resolve({ takeover: true });
const noTakeover = resolve({ takeover: false });

function answer(offers: string, options: ResolvedCompression): string | undefined {
  return acceptOffers(parse(offers), options)?.response;
}

// Parameters that neither an offer nor a response may have.
const malformed: readonly string[] = [
  'unknown',
  'Server_no_context_takeover',
  'server_no_context_takeove',
  '__proto__',
  'constructor=8',
  `${SERVER_NO}; ${SERVER_NO}`,
  `${CLIENT_NO}; ${CLIENT_NO}`,
  `${SERVER_BITS}=10; ${SERVER_BITS}=10`,
  `${CLIENT_BITS}=10; ${SERVER_NO}; ${CLIENT_BITS}=11`,
  `${SERVER_NO}=1`,
  `${SERVER_NO}=true`,
  `${CLIENT_NO}=15`,
  SERVER_BITS,
  ...[SERVER_BITS, CLIENT_BITS].flatMap((name) =>
    ['7', '16', '08', '015', '0', '1', '+9', '-9', '9.', '9e0', '0x9', '99', '150', 'a', '1_0'].map(
      (value) => `${name}=${value}`,
    ),
  ),
  `${SERVER_BITS}="16"`,
  `${SERVER_BITS}=${'1'.repeat(16_000)}`,
];

suite('options', () => {
  test('true is all defaults, false is none', () => {
    assert.deepEqual(resolveCompression(true), defaults);
    assert.deepEqual(resolveCompression({}), defaults);
    assert.equal(resolveCompression(false), undefined);
  });

  test('undefined is not set', () => {
    const given: Record<string, unknown> = { takeover: undefined, level: undefined };
    assert.deepEqual(resolveCompression(given), defaults);
  });

  test('what is set stays, the rest keeps its default', () => {
    const all = {
      takeover: true,
      windowBits: 9,
      peerWindowBits: 8,
      level: 9,
      memLevel: 1,
      threshold: 0,
    };
    assert.deepEqual(resolveCompression(all), all);
    for (const [name, value] of Object.entries(all)) {
      assert.deepEqual(resolveCompression({ [name]: value }), { ...defaults, [name]: value });
    }
  });

  for (const [name, least, most] of [
    ['windowBits', 9, 15],
    ['peerWindowBits', 8, 15],
    ['level', 1, 9],
    ['memLevel', 1, 9],
    ['threshold', 0, Number.MAX_SAFE_INTEGER],
  ] as const) {
    test(`${name} is ${least} to ${most}, whole, and not coerced`, () => {
      assert.equal(resolve({ [name]: least })[name], least);
      assert.equal(resolve({ [name]: most })[name], most);
      for (const value of [
        ...[least - 1, most + 1, least + 0.5, Number.NaN, Number.POSITIVE_INFINITY],
        ...[String(least), null, true, BigInt(least), [least]],
      ]) {
        const given: Record<string, unknown> = { [name]: value };
        assert.throws(() => resolveCompression(given), {
          code: 'INVALID_OPTION',
          message: new RegExp(`compression\\.${name} `),
        });
      }
    });
  }

  test('takeover is true or false', () => {
    for (const value of [0, 1, 'true', null, {}]) {
      const given: Record<string, unknown> = { takeover: value };
      assert.throws(() => resolveCompression(given), {
        code: 'INVALID_OPTION',
        message: /compression\.takeover /,
      });
    }
  });

  test('an unknown name is refused, also one that every object has', () => {
    for (const name of ['windowbits', 'constructor', '__proto__']) {
      const given: CompressionOptions = JSON.parse(`{"${name}":9}`);
      assert.throws(() => resolveCompression(given), {
        code: 'INVALID_OPTION',
        message: new RegExp(`no option ${name}`),
      });
    }
  });

  test('what is neither a boolean nor an object is refused', () => {
    for (const value of ['null', '1', '"true"', '[]']) {
      const given: CompressionOptions = JSON.parse(value);
      assert.throws(() => resolveCompression(given), {
        code: 'INVALID_OPTION',
        message: /an object of options/,
      });
    }
  });
});

suite('the server', () => {
  test('declines where permessage-deflate is not offered; names are compared exactly', () => {
    for (const offers of [
      '',
      'x-webkit-deflate-frame',
      'Permessage-Deflate',
      'permessage-deflate2, permessage-bzip2; client_max_window_bits',
    ]) {
      assert.equal(acceptOffers(parse(offers), takeover), undefined, offers);
    }
  });

  test('fault 65: declines an unknown, doubled or malformed parameter', () => {
    for (const parameter of malformed) {
      const offer = deflate(parameter);
      assert.equal(acceptOffers(parse(offer), takeover), undefined, offer);
      assert.equal(acceptOffers(parse(deflate(SERVER_NO, parameter)), noTakeover), undefined);
    }
    // The header cannot carry these, a caller might.
    for (const value of ['', ' 9', '9 ', '9\n', '９']) {
      const offer: Extension = { name: 'permessage-deflate', params: [[SERVER_BITS, value]] };
      assert.equal(acceptOffers([offer], takeover), undefined, JSON.stringify(value));
    }
  });

  test('fault 66: never answers client_max_window_bits where it was not offered', () => {
    for (let peerWindowBits = 8; peerWindowBits <= 15; peerWindowBits++) {
      const accepted = acceptOffers(parse(deflate()), resolve({ takeover: true, peerWindowBits }));
      // The window that the peer may use then is the largest, whatever we would like.
      assert.deepEqual(accepted, {
        agreement: agreement(true, 15, true, 15),
        response: deflate(),
      });
    }
  });

  test('fault 67: declines server_max_window_bits=8', () => {
    assert.equal(answer(deflate(`${SERVER_BITS}=8`), takeover), undefined);
    assert.equal(answer(deflate(`${SERVER_BITS}="8"`, CLIENT_BITS), noTakeover), undefined);
  });

  test('fault 68: takes the first acceptable of several offers', () => {
    for (const [offers, expected] of [
      [
        `${deflate(`${SERVER_BITS}=12`)}, ${deflate(`${SERVER_BITS}=11`)}`,
        deflate(`${SERVER_BITS}=12`),
      ],
      [`${deflate(`${SERVER_BITS}=8`)}, ${deflate(SERVER_NO)}, ${deflate()}`, deflate(SERVER_NO)],
      [`permessage-bzip2, ${deflate('unknown')}, ${deflate()}`, deflate()],
      [
        `${deflate(`${SERVER_BITS}=16`)}, other, ${deflate(`${CLIENT_BITS}=10`)}`,
        deflate(`${CLIENT_BITS}=10`),
      ],
      [`${deflate(SERVER_NO, SERVER_NO)}, ${deflate(SERVER_BITS)}`, undefined],
    ] as const) {
      assert.equal(answer(offers, takeover), expected, offers);
    }
  });

  test('in several lines, the offers are one list', () => {
    const offers = parseExtensions([
      deflate(`${SERVER_BITS}=8`),
      'other',
      deflate(`${SERVER_BITS}=9`),
    ]);
    assert.equal(acceptOffers(offers ?? [], takeover)?.response, deflate(`${SERVER_BITS}=9`));
  });

  test('what browsers and other clients offer', () => {
    // Chromium and Safari; Firefox; clients that ask for no context to be kept.
    const browser = deflate(CLIENT_BITS);
    assert.deepEqual(acceptOffers(parse(browser), noTakeover), {
      agreement: agreement(false, 15, false, 15),
      response: deflate(BOTH_NO),
    });
    assert.deepEqual(acceptOffers(parse(browser), takeover), {
      agreement: agreement(true, 15, true, 15),
      response: deflate(),
    });
    assert.equal(answer(deflate(), noTakeover), deflate(BOTH_NO));
    assert.equal(answer(deflate(BOTH_NO, CLIENT_BITS), takeover), deflate(BOTH_NO));
  });

  test('no takeover is agreed where one side wants none', () => {
    for (const [parameters, own, peer] of [
      [[], true, true],
      [[SERVER_NO], false, true],
      [[CLIENT_NO], true, false],
      [[CLIENT_NO, SERVER_NO], false, false],
    ] as const) {
      const offers = parse(deflate(...parameters));
      assert.deepEqual(acceptOffers(offers, takeover), {
        agreement: agreement(own, 15, peer, 15),
        response: deflate(...(own ? [] : [SERVER_NO]), ...(peer ? [] : [CLIENT_NO])),
      });
      assert.deepEqual(acceptOffers(offers, noTakeover), {
        agreement: agreement(false, 15, false, 15),
        response: deflate(BOTH_NO),
      });
    }
  });

  for (let windowBits = 9; windowBits <= 15; windowBits++) {
    test(`with windowBits ${windowBits}, server_max_window_bits is the smaller`, () => {
      const options = resolve({ takeover: true, windowBits });
      for (let asked = 9; asked <= 15; asked++) {
        const smaller = Math.min(asked, windowBits);
        for (const offer of [`${SERVER_BITS}=${asked}`, `${SERVER_BITS}="${asked}"`]) {
          assert.deepEqual(acceptOffers(parse(deflate(offer)), options), {
            agreement: agreement(true, smaller, true, 15),
            response: deflate(`${SERVER_BITS}=${smaller}`),
          });
        }
      }
      assert.deepEqual(acceptOffers(parse(deflate()), options), {
        agreement: agreement(true, windowBits, true, 15),
        response: deflate(),
      });
    });
  }

  for (let peerWindowBits = 8; peerWindowBits <= 15; peerWindowBits++) {
    test(`with peerWindowBits ${peerWindowBits}, client_max_window_bits is the smaller`, () => {
      const options = resolve({ takeover: true, peerWindowBits });
      for (const [offer, hint] of [
        [CLIENT_BITS, 15],
        ...[8, 9, 10, 11, 12, 13, 14, 15].map((bits) => [`${CLIENT_BITS}=${bits}`, bits] as const),
      ] as const) {
        const smaller = Math.min(hint, peerWindowBits);
        assert.deepEqual(acceptOffers(parse(deflate(offer)), options), {
          agreement: agreement(true, 15, true, smaller),
          response: deflate(...(smaller < 15 ? [`${CLIENT_BITS}=${smaller}`] : [])),
        });
      }
    });
  }

  test('all four parameters at once', () => {
    assert.deepEqual(
      acceptOffers(
        parse(deflate(`${CLIENT_BITS}=13`, `${SERVER_BITS}=10`, CLIENT_NO, SERVER_NO)),
        resolve({ takeover: true, windowBits: 12, peerWindowBits: 11 }),
      ),
      {
        agreement: agreement(false, 10, false, 11),
        response: deflate(BOTH_NO, `${SERVER_BITS}=10`, `${CLIENT_BITS}=11`),
      },
    );
  });
});

suite('the client', () => {
  for (const [given, expected] of [
    [{}, deflate(BOTH_NO, CLIENT_BITS)],
    [{ takeover: true }, deflate(CLIENT_BITS)],
    [{ takeover: true, windowBits: 9 }, deflate(`${CLIENT_BITS}=9`)],
    [{ takeover: true, peerWindowBits: 8 }, deflate(CLIENT_BITS, `${SERVER_BITS}=8`)],
    [
      { windowBits: 14, peerWindowBits: 10 },
      deflate(BOTH_NO, `${CLIENT_BITS}=14`, `${SERVER_BITS}=10`),
    ],
  ] as const) {
    test(`offers ${expected}`, () => {
      assert.equal(deflateOffer(resolve(given)), expected);
    });
  }

  test('without an extension in the response there is no compression', () => {
    assert.equal(checkAccepted([], takeover), undefined);
    assert.equal(checkAccepted([], noTakeover), undefined);
  });

  test('fails on another extension, and on more than one', () => {
    for (const response of [
      'permessage-bzip2',
      'Permessage-deflate',
      `${deflate()}, ${deflate()}`,
      `${deflate()}, other`,
      `other, ${deflate()}`,
    ]) {
      assert.equal(checkAccepted(parse(response), takeover), 'RESPONSE_EXTENSION', response);
    }
  });

  test('fault 65: fails on an unknown, doubled or malformed parameter', () => {
    for (const parameter of [...malformed, CLIENT_BITS]) {
      const response = deflate(parameter);
      assert.equal(checkAccepted(parse(response), takeover), 'RESPONSE_EXTENSION', response);
    }
    const both = parse(deflate(BOTH_NO, 'unknown'));
    assert.equal(checkAccepted(both, noTakeover), 'RESPONSE_EXTENSION');
  });

  for (const [given, parameters, expected] of [
    [{ takeover: true }, [], agreement(true, 15, true, 15)],
    // Both may come unasked.
    [{ takeover: true }, [SERVER_NO], agreement(true, 15, false, 15)],
    [{ takeover: true }, [CLIENT_NO], agreement(false, 15, true, 15)],
    [{ takeover: true }, [BOTH_NO], agreement(false, 15, false, 15)],
    [{ takeover: true }, [`${SERVER_BITS}=8`], agreement(true, 15, true, 8)],
    [{ takeover: true }, [`${SERVER_BITS}=15`], agreement(true, 15, true, 15)],
    // What was asked for must come; what was a hint need not, and is kept to all the same.
    [{}, [BOTH_NO], agreement(false, 15, false, 15)],
    [{}, [SERVER_NO], agreement(false, 15, false, 15)],
    [{}, [CLIENT_NO], undefined],
    [{}, [], undefined],
    [{ takeover: true, peerWindowBits: 12 }, [], undefined],
    [{ takeover: true, peerWindowBits: 12 }, [`${SERVER_BITS}=13`], undefined],
    [{ takeover: true, peerWindowBits: 12 }, [`${SERVER_BITS}=12`], agreement(true, 15, true, 12)],
    [{ takeover: true, peerWindowBits: 12 }, [`${SERVER_BITS}=8`], agreement(true, 15, true, 8)],
    // Our own window: at most what we offered.
    [{ takeover: true }, [`${CLIENT_BITS}=15`], agreement(true, 15, true, 15)],
    [{ takeover: true }, [`${CLIENT_BITS}="9"`], agreement(true, 9, true, 15)],
    [{ takeover: true }, [`${CLIENT_BITS}=8`], agreement(true, 8, true, 15)],
    [{ takeover: true, windowBits: 11 }, [], agreement(true, 11, true, 15)],
    [{ takeover: true, windowBits: 11 }, [`${CLIENT_BITS}=11`], agreement(true, 11, true, 15)],
    [{ takeover: true, windowBits: 11 }, [`${CLIENT_BITS}=10`], agreement(true, 10, true, 15)],
    [{ takeover: true, windowBits: 11 }, [`${CLIENT_BITS}=12`], undefined],
    [
      { windowBits: 11, peerWindowBits: 10 },
      [`${CLIENT_BITS}=9`, `${SERVER_BITS}=10`, CLIENT_NO, SERVER_NO],
      agreement(false, 9, false, 10),
    ],
  ] as const) {
    const response = deflate(...parameters);
    const verb = expected === undefined ? 'fails on' : 'takes';
    test(`with ${JSON.stringify(given)} ${verb} ${response}`, () => {
      assert.deepEqual(
        checkAccepted(parse(response), resolve(given)),
        expected ?? 'RESPONSE_EXTENSION',
      );
    });
  }
});
