import { type Case, type Json, outcome, type Stage } from '../conformance-case.ts';

/** HOST is host and port of the server, PORT the port. */
function filled(text: string, { host }: Stage): string {
  return text.replaceAll('HOST', host).replaceAll('PORT', String(host.split(':')[1]));
}

/** What `url` is for what the constructor was given. */
function urlOf(stage: Stage, given: unknown): Json {
  const url = outcome(() => stage.construct(given).url);
  const port = filled('PORT', stage);
  return String(url).replaceAll(stage.host, 'HOST').replaceAll(port, 'PORT');
}

const SYNTAX_ERROR = 'throws DOMException SyntaxError';

function url(given: string, expected: string): Case {
  return {
    name: `URL: ${JSON.stringify(given)}`,
    expected,
    run: (stage) => urlOf(stage, filled(given, stage)),
  };
}

const urls: readonly Case[] = [
  url('ws://HOST', 'ws://HOST/'),
  url('http://HOST/', 'ws://HOST/'),
  url('https://HOST/', 'wss://HOST/'),
  url('wss://HOST/', 'wss://HOST/'),
  url('WS://HOST/CaSe?CaSe', 'ws://HOST/CaSe?CaSe'),
  url('HTTP://HOST/', 'ws://HOST/'),
  url('ws://LocalHost:PORT/', 'ws://localhost:PORT/'),
  url('ws://ｌｏｃａｌｈｏｓｔ:PORT/', 'ws://localhost:PORT/'),
  url('ws://0x7f.1:PORT/', 'ws://HOST/'),
  url('ws://[::1]:PORT/', 'ws://[::1]:PORT/'),
  url('ws://127.0.0.1:80/', 'ws://127.0.0.1/'),
  url('http://127.0.0.1:80/', 'ws://127.0.0.1/'),
  url('wss://127.0.0.1:443/', 'wss://127.0.0.1/'),
  url('https://127.0.0.1:443/', 'wss://127.0.0.1/'),
  url('ws://127.0.0.1:443/', 'ws://127.0.0.1:443/'),
  url('wss://127.0.0.1:80/', 'wss://127.0.0.1:80/'),
  url('ws://user:password@HOST/', 'ws://user:password@HOST/'),
  url('ws://HOST?query', 'ws://HOST/?query'),
  url('ws://HOST/?', 'ws://HOST/?'),
  url('ws://HOST/a/../b/./c', 'ws://HOST/b/c'),
  url('ws://HOST/a b?c d', 'ws://HOST/a%20b?c%20d'),
  url('  ws://HOST/\t ', 'ws://HOST/'),
  url('ws://HOST/a\tb\nc', 'ws://HOST/abc'),
  url('ws:\\\\HOST\\a', 'ws://HOST/a'),
  url('ws:HOST/a', 'ws://HOST/a'),
  url('ws://HOST/é?é', 'ws://HOST/%C3%A9?%C3%A9'),
  url('ws://HOST/%23', 'ws://HOST/%23'),
  url('ws://HOST/a\u0000', 'ws://HOST/a'),
  url('ws://HOST/a\u0000b', 'ws://HOST/a%00b'),
  url('ws://HOST/\ud800', 'ws://HOST/%EF%BF%BD'),
  url('ws://HOST/#fragment', SYNTAX_ERROR),
  url('ws://HOST/#', SYNTAX_ERROR),
  url('ws://HOST/?#', SYNTAX_ERROR),
  url('http://HOST/#', SYNTAX_ERROR),
  url('ftp://HOST/', SYNTAX_ERROR),
  url('file:///a', SYNTAX_ERROR),
  url('mailto:a@b', SYNTAX_ERROR),
  url('data:text/plain,a', SYNTAX_ERROR),
  url('about:blank', SYNTAX_ERROR),
  url('javascript:0', SYNTAX_ERROR),
  url('wsx://HOST/', SYNTAX_ERROR),
  url('ws://', SYNTAX_ERROR),
  url('ws:', SYNTAX_ERROR),
  url('ws://127.0.0.1:70000/', SYNTAX_ERROR),
  url('ws://127.0.0.1:port/', SYNTAX_ERROR),
  url('ws://256.0.0.1/', SYNTAX_ERROR),
  url('ws://a b/', SYNTAX_ERROR),
  url('ws://[::1/', SYNTAX_ERROR),
  url('ws://a%00b/', SYNTAX_ERROR),
];

/** Without a base URL. */
const relativeUrls: readonly Case[] = [
  url('', SYNTAX_ERROR),
  url('/path', SYNTAX_ERROR),
  url('path', SYNTAX_ERROR),
  url('?query', SYNTAX_ERROR),
  url('//HOST/path', SYNTAX_ERROR),
  url('#', SYNTAX_ERROR),
  url('#fragment', SYNTAX_ERROR),
];

const conversions: readonly Case[] = [
  {
    name: 'URL: a URL object',
    expected: 'ws://HOST/?a',
    run: (stage) => urlOf(stage, new URL(`ws://${stage.host}?a`)),
  },
  {
    name: 'URL: an object that becomes a string, once',
    expected: ['ws://HOST/', 1],
    run: (stage) => {
      let times = 0;
      const given = {
        toString() {
          times += 1;
          return `ws://${stage.host}`;
        },
      };
      return [urlOf(stage, given), times];
    },
  },
  {
    name: 'URL: an array becomes a string',
    expected: 'ws://HOST/',
    run: (stage) => urlOf(stage, [`ws://${stage.host}`]),
  },
  {
    name: 'URL: none',
    expected: 'throws TypeError',
    run: (stage) => outcome(() => stage.construct()),
  },
  {
    name: 'URL: undefined is "undefined", null "null"',
    expected: [SYNTAX_ERROR, SYNTAX_ERROR],
    run: (stage) => [urlOf(stage, undefined), urlOf(stage, null)],
  },
  {
    name: 'URL: a symbol',
    expected: 'throws TypeError',
    run: (stage) => urlOf(stage, Symbol('ws')),
  },
  {
    name: 'URL: an object that throws',
    expected: 'throws RangeError',
    run: (stage) =>
      urlOf(stage, {
        toString() {
          throw new RangeError('not this one');
        },
      }),
  },
  {
    name: 'constructor: a SyntaxError is a DOMException with its code',
    expected: ['SyntaxError', 12, true],
    run: (stage) => {
      try {
        stage.construct('ftp://127.0.0.1/');
        return 'threw nothing';
      } catch (error) {
        if (!(error instanceof DOMException)) return 'threw something else';
        return [error.name, error.code, error.message.length > 0];
      }
    },
  },
  {
    name: 'constructor: arguments are converted before the URL is judged',
    expected: ['url', 'protocols', 'throws DOMException SyntaxError'],
    run: (stage) => {
      const seen: Json[] = [];
      const told = (name: string, value: string) => ({
        toString() {
          seen.push(name);
          return value;
        },
      });
      const end = outcome(() => stage.construct(told('url', 'ftp:'), told('protocols', 'chat')));
      return [...seen, end];
    },
  },
  {
    name: 'constructor: what cannot be converted comes before a wrong URL',
    expected: 'throws TypeError',
    run: (stage) => outcome(() => stage.construct('ftp:', Symbol('chat'))),
  },
];

/** What is offered, or the exception. */
function protocols(name: string, given: unknown, expected: Json): Case {
  return {
    name: `protocols: ${name}`,
    expected,
    run: async (stage) => {
      const attempt = outcome(() => {
        const socket = stage.dial({}, given);
        socket.addEventListener('open', () => socket.close());
      });
      if (attempt !== 'returned undefined') return attempt;
      const { fields } = await stage.record();
      return fields['sec-websocket-protocol'] ?? null;
    },
  };
}

const separators = [...'()<>@,;:\\"/[]?={} \t'];
const tokenCharacters = [..."!#$%&'*+-.^_`|~09Az"];

/** An iterable that is neither an array nor a string. */
function iterable(...values: readonly unknown[]): Iterable<unknown> {
  return {
    *[Symbol.iterator]() {
      yield* values;
    },
  };
}

const subprotocols: readonly Case[] = [
  protocols('undefined is none', undefined, null),
  protocols('an empty array is none', [], null),
  protocols('a string', 'chat', 'chat'),
  protocols('an array', ['a', 'b', 'c'], 'a, b, c'),
  protocols('a set', new Set(['a', 'b']), 'a, b'),
  protocols('an iterable', iterable('a', 'b'), 'a, b'),
  protocols('a String object is a sequence of its characters', Object('ab'), 'a, b'),
  protocols('null is "null"', null, 'null'),
  protocols('a number becomes a string', 1, '1'),
  protocols(
    'elements become strings',
    [1, null, undefined, ['a'], true],
    '1, null, undefined, a, true',
  ),
  protocols('an object becomes a string', { toString: () => 'chat' }, 'chat'),
  protocols(
    'an object whose iterator is undefined becomes a string',
    { [Symbol.iterator]: undefined, toString: () => 'chat' },
    'chat',
  ),
  protocols('an array-like is no sequence', { length: 1, 0: 'a' }, SYNTAX_ERROR),
  protocols('an iterator that is no function', { [Symbol.iterator]: 1 }, 'throws TypeError'),
  protocols(
    'an iterator that throws',
    {
      [Symbol.iterator]() {
        throw new RangeError('not this one');
      },
    },
    'throws RangeError',
  ),
  protocols('a symbol', Symbol('chat'), 'throws TypeError'),
  protocols('a symbol in an array', [Symbol('chat')], 'throws TypeError'),
  protocols('an empty string', '', SYNTAX_ERROR),
  protocols('an empty string in an array', [''], SYNTAX_ERROR),
  protocols('two in one string', 'a,b', SYNTAX_ERROR),
  protocols('a letter that is not ASCII', 'ü', SYNTAX_ERROR),
  protocols('an unpaired surrogate', '\ud800', SYNTAX_ERROR),
  protocols('a control character', 'a\u0000', SYNTAX_ERROR),
  protocols('DEL', 'a\u007f', SYNTAX_ERROR),
  protocols('one wrong among right ones', ['a', 'b c'], SYNTAX_ERROR),
  protocols('the same twice', ['chat', 'chat'], SYNTAX_ERROR),
  protocols('the same in another case', ['chat', 'Chat'], 'chat, Chat'),
  protocols('every character of a token', tokenCharacters, tokenCharacters.join(', ')),
  {
    name: 'protocols: every separator is refused',
    expected: separators.map(() => SYNTAX_ERROR),
    run: (stage) => separators.map((each) => outcome(() => stage.dial({}, `a${each}b`))),
  },
];

export const constructorCases: readonly Case[] = [
  ...subprotocols,
  ...conversions,
  ...urls,
  ...relativeUrls,
];
