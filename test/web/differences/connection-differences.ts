import { IN_VAIN, type Json } from '../conformance-case.ts';
import { type Difference, each, NODE } from './difference.ts';

const fine: Json = ['open', ['close', 1005, '', true]];
const failed: Json = ['error', ['close', 1006, '', false]];

/** The deflate that the cases agree on, as Firefox tells it. */
const DEFLATE = 'permessage-deflate';

const CLOSE_IN_FAILURE = [
  'failure: the close frame for text that is not UTF-8',
  'failure: the close frame for a reserved opcode',
  'failure: the close frame for a close frame of one byte',
];

const LOST = [
  'failure: the TCP connection ends',
  'failure: the TCP connection ends within a message',
  'failure: the TCP connection ends instead of an answer to close()',
];

const handshake: readonly Difference[] = [
  {
    standard: 'The request has the origin of the page (Fetch).',
    instead: [
      {
        who: ['aperto', ...NODE],
        does: 'has none: there is no page',
        seen: { 'request: has the origin': false },
      },
    ],
    verdict: 'All. A server that wants one gets it by `headers: { Origin: … }`.',
  },
  {
    standard: 'Cookies of answers are kept, and sent with the next request (Fetch).',
    instead: [
      {
        who: ['aperto', ...NODE],
        does: 'keeps none',
        seen: { 'request: sends the cookie that an answer before has set': false },
      },
    ],
    verdict:
      'All: a program that serves many users must not mix their cookies. Ours are sent by `headers: { Cookie: … }`.',
  },
  {
    standard:
      'A user and password in the URL are sent when the server asks for them by a 401 (Fetch).',
    instead: [
      {
        who: ['aperto'],
        does: 'sends them at once, as Basic authorization',
        seen: {
          'request: sends no credentials of the URL that nobody asked for':
            'Basic dXNlcjpwYXNzd29yZA==',
        },
      },
    ],
    verdict:
      'Ours by decision: there is nobody to ask, and who writes them into the URL wants them sent.',
  },
  {
    standard: 'Connection may have other options beside Upgrade (RFC 6455 4.1).',
    instead: [
      {
        who: ['node-24', 'node-26'],
        does: 'fails the connection',
        seen: { 'answer: Upgrade is one of several options of Connection': failed },
      },
      {
        who: ['node-22'],
        does: 'fails the connection, without `close`',
        seen: { 'answer: Upgrade is one of several options of Connection': ['error', 'error'] },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard:
      'A parameter of permessage-deflate that nobody knows fails the connection (RFC 7692 7.1).',
    instead: [
      {
        who: NODE,
        does: 'ignores it',
        seen: { 'answer: a parameter that permessage-deflate does not know': fine },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard:
      'A subprotocol that was not asked for fails the connection, and so does none although one was.',
    instead: [
      {
        who: ['firefox'],
        does: 'opens it',
        seen: each(
          [
            'answer: a subprotocol that was not asked for',
            'answer: no subprotocol although one was asked for',
          ],
          fine,
        ),
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: '`extensions` has the parameters, too.',
    instead: [
      {
        who: ['firefox'],
        does: 'has the name alone',
        seen: {
          'agreed: permessage-deflate with a parameter': { protocol: '', extensions: DEFLATE },
          'agreed: not before `open`, and for good': [
            [0, '', ''],
            [1, 'chat', DEFLATE],
            [3, 'chat', DEFLATE],
          ],
        },
      },
    ],
    verdict: 'The standard.',
  },
];

const failures: readonly Difference[] = [
  {
    standard:
      'A connection that cannot be opened ends with `error` and `close`, readyState being CLOSED.',
    instead: [
      {
        who: ['node-22'],
        does: 'fires `error` twice and never `close`, and stays CONNECTING',
        seen: {
          ...each(
            [
              'answer: 200',
              'answer: a redirect is not followed',
              'answer: 401',
              'answer: 403',
              'answer: a wrong Sec-WebSocket-Accept',
              'answer: no Sec-WebSocket-Accept',
              'answer: an extension that was not offered',
              'answer: a subprotocol that was not asked for',
              'answer: another subprotocol than those asked for',
              'answer: the subprotocol in another case',
              'answer: no subprotocol although one was asked for',
              'answer: an empty subprotocol',
              'answer: two subprotocols',
              'tasks: a failure is heard by who listens some microtasks later',
              'close: in the handler of `error` and of `close` it does nothing',
              'failure: nobody listens at the port',
              'failure: TLS with a server that does not speak it',
            ],
            ['error', 'error'],
          ),
          'event: readyState during those of a failure': [
            ['error', 0],
            ['error', 0],
          ],
          'tasks: `error` and `close` are one task, with microtasks between': [
            ...['error', 'after error', 'after after error'],
            ...['error', 'after error', 'after after error'],
          ],
          'tasks: a timer does not come between `error` and `close`': [
            ...['error', 'timer'],
            ...['error', 'timer'],
          ],
          'handler: all four are called': ['onopen', 'onmessage', 'onclose', 'onerror', 'onerror'],
          ...each(['close: while connecting', 'close: while the request waits for its answer'], {
            atOnce: [0, 2],
            events: ['error', 'error'],
          }),
        },
      },
      {
        who: ['node-22'],
        does: 'fires nothing at all where the answer has no Upgrade or no Connection',
        seen: each(['answer: no Upgrade', 'answer: no Connection'], IN_VAIN),
      },
    ],
    verdict: 'The standard: who waits for `close` waits forever.',
  },
  {
    standard: 'close() while connecting fires its events in a later task.',
    instead: [
      {
        who: ['node-24', 'node-26'],
        does: 'fires them as a microtask, or within the call',
        seen: {
          'close: while connecting, its events come in a later task': ['error', 'close'],
        },
      },
      {
        who: ['node-22'],
        does: 'fires its `error` so',
        seen: { 'close: while connecting, its events come in a later task': ['error'] },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'A TCP connection that is lost is a failure (RFC 6455 7.2.1), with an `error` event.',
    instead: [
      {
        who: ['node-22', 'chromium', 'firefox'],
        does: 'fires `close` alone',
        seen: {
          ...each(LOST, ['open', ['close', 1006, '', false]]),
          'failure: messages before the end are heard': [
            'open',
            ['message', 'a'],
            ['message', 'b'],
            ['close', 1006, '', false],
          ],
        },
      },
      {
        who: ['node-22', 'chromium'],
        does: 'fires `close` alone for a reset, too',
        seen: { 'failure: the TCP connection is reset': ['open', ['close', 1006, '', false]] },
      },
    ],
    verdict: 'The standard: a client MUST fail the connection then.',
  },
  {
    standard:
      'Who fails a connection sends a close frame with a code that fits (RFC 6455 7.1.7, 7.4.1).',
    instead: [
      { who: ['node-22'], does: 'sends none', seen: each(CLOSE_IN_FAILURE, null) },
      {
        who: ['firefox'],
        does: 'sends none, or an empty one',
        seen: {
          ...each(CLOSE_IN_FAILURE, null),
          'failure: the close frame for a close frame of one byte': '88',
        },
      },
      {
        who: ['chromium'],
        does: 'sends 1002 for text that is not UTF-8',
        seen: { 'failure: the close frame for text that is not UTF-8': '88 03ea' },
      },
    ],
    verdict: 'All: it SHOULD be sent. Ours is, so that the server learns why.',
  },
];

const closing: readonly Difference[] = [
  {
    standard:
      'A close code is rounded to the nearest, to the even one of two (Web IDL, `[Clamp]`).',
    instead: [
      {
        who: ['chromium'],
        does: 'is rounded down',
        seen: {
          'close: 999.5 is rounded to the even': 'throws DOMException InvalidAccessError',
          'close: 2999.5 is rounded to the even': 'throws DOMException InvalidAccessError',
          'close: 4999.5 is rounded to the even': ['returned undefined', 2, ['88 1387']],
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'A close code is converted as a number, and a bigint is none (Web IDL).',
    instead: [
      {
        who: NODE,
        does: 'takes 1000n for 1000',
        seen: { 'close: a bigint': ['returned undefined', 2, ['88 03e8']] },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'A reason without a code goes with 1000; undefined is no code.',
    instead: [
      {
        who: ['node-22', 'firefox'],
        does: 'drops the reason',
        seen: {
          'close: a reason alone goes with 1000': { frame: '88', event: ['close', 1005, '', true] },
        },
      },
      {
        who: ['chromium'],
        does: 'takes undefined for the code 0 where a reason is given',
        seen: {
          'close: a reason alone goes with 1000': 'throws DOMException InvalidAccessError',
          'close: an empty reason alone': 'throws DOMException InvalidAccessError',
          'close: a reason of 124 bytes alone': [
            'throws DOMException InvalidAccessError',
            1,
            ['81 61', '88 03e8'],
          ],
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'What comes behind a close frame is discarded (RFC 6455 1.4).',
    instead: [
      {
        who: ['chromium'],
        does: 'fails the connection for it',
        seen: {
          'closed: what comes behind the close frame is not heard': [
            'open',
            'error',
            ['close', 1006, '', false],
          ],
        },
      },
    ],
    verdict: 'The standard; the server is wrong in any case.',
  },
  {
    standard:
      'A close code that is not reserved for local use is told, whatever it means (RFC 6455 7.1.5).',
    instead: [
      {
        who: ['aperto', ...NODE],
        does: 'fails the connection for codes that nobody may use yet',
        seen: each(
          [1004, 1016, 2000, 2999, 5000].map((code) => `closed: ${code}, which is reserved`),
          ['open', 'error', ['close', 1006, '', false]],
        ),
      },
    ],
    verdict: 'The standard asks for no failure and forbids none; ours judges frames strictly.',
  },
  {
    standard:
      'A close frame of one byte, or with 999, 1005, 1006 or 1015, fails the connection (RFC 6455 5.5.1, 7.4).',
    instead: [
      {
        who: ['firefox'],
        does: 'takes it for a clean close with that code',
        seen: {
          'failure: a close frame of one byte': fine,
          'failure: a close frame with 999': ['open', ['close', 999, '', true]],
          'failure: a close frame with 1005': fine,
          'failure: a close frame with 1006': ['open', ['close', 1006, '', true]],
          'failure: a close frame with 1015': ['open', ['close', 1015, '', true]],
        },
      },
    ],
    verdict: 'The standard.',
  },
];

export const connectionDifferences: readonly Difference[] = [...handshake, ...failures, ...closing];
