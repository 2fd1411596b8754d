import { IN_VAIN, type Json } from '../conformance-case.ts';
import { type Difference, each, NODE } from './difference.ts';

const NOT_UTF8 = [
  'failure: text that is not UTF-8',
  'failure: a surrogate in UTF-8',
  'failure: text that ends within a character',
];

function clean(...heard: readonly Json[]): Json {
  return ['open', ...heard, ['close', 1000, '', true]];
}

export const messageDifferences: readonly Difference[] = [
  {
    standard: 'Each event is a task, with microtasks behind it.',
    instead: [
      {
        who: NODE,
        does: 'fires the events of one packet in one go; who waits for each with a promise misses some',
        seen: {
          'tasks: who waits for each message with a promise hears all of one packet': IN_VAIN,
          'tasks: microtasks run between the events of one packet': [
            ...['open', 'after open', 'after after open'],
            ...['a', 'b', 'after a', 'after b', 'after after a', 'after after b'],
            ...['close', 'after close', 'after after close'],
          ],
        },
      },
    ],
    verdict: 'The standard. This is the one that loses messages.',
  },
  {
    standard:
      'Microtasks run behind each listener (HTML), and so between `error` and `close`, too.',
    instead: [
      {
        who: ['aperto', ...NODE],
        does: 'calls all listeners of an event without a pause',
        seen: {
          'tasks: microtasks run between the listeners of an event': [
            'first',
            'second',
            'microtask',
          ],
        },
      },
      {
        who: ['aperto', 'node-24', 'node-26'],
        does: 'fires `error` and `close` without a pause',
        seen: {
          'tasks: `error` and `close` are one task, with microtasks between': [
            ...['error', 'close', 'after error', 'after close'],
            ...['after after error', 'after after close'],
          ],
        },
      },
    ],
    verdict:
      "The standard; Node's EventTarget cannot do it. Between two tasks of ours microtasks do run.",
  },
  {
    standard: 'A buffer whose memory was detached is an empty message (Web IDL).',
    instead: [
      {
        who: NODE,
        does: 'throws a TypeError',
        seen: each(
          ['send: a detached ArrayBuffer is empty', 'send: a view of a detached one is empty'],
          'throws TypeError',
        ),
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'Shared memory, and memory that can be resized, is refused (Web IDL).',
    instead: [
      {
        who: ['node-24', 'node-26'],
        does: 'sends it, views of shared memory as text',
        seen: {
          'send: a view of shared memory is refused': [
            'returned undefined',
            3,
            ['81 302c30', '88'],
          ],
          'send: a DataView of shared memory is refused': [
            'returned undefined',
            17,
            ['81 5b6f626a6563742044617461566965775d', '88'],
          ],
          ...each(
            [
              'send: a buffer that can be resized is refused',
              'send: a view of a buffer that can be resized is refused',
            ],
            ['returned undefined', 2, ['82 0000', '88']],
          ),
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard:
      'A SharedArrayBuffer itself is none of the types of `send` and is sent as the string "[object SharedArrayBuffer]" (Web IDL).',
    instead: [
      {
        who: ['chromium', 'firefox'],
        does: 'throws a TypeError',
        seen: { 'send: shared memory is no buffer but an object': 'throws TypeError' },
      },
    ],
    verdict: 'The standard by its letter; the browsers are kinder.',
  },
  {
    standard: 'close() comes behind what was sent, Blobs too.',
    instead: [
      {
        who: NODE,
        does: 'drops a Blob that is still being read, and what is behind it',
        seen: { 'send: close() comes behind a Blob and what is behind that': ['88 03e8'] },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: '`bufferedAmount` falls between tasks only.',
    instead: [
      {
        who: NODE,
        does: 'falls between microtasks',
        seen: { 'bufferedAmount: does not fall within a task': [5, 0, 3, 3] },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: '`bufferedAmount` grows with what is sent after the end, and is not reset by it.',
    instead: [
      {
        who: NODE,
        does: 'does not count it, and resets it',
        seen: {
          'bufferedAmount: only grows after close()': {
            closing: [0, 0, 0],
            closed: [0, 0],
            more: [0, 0],
          },
          'bufferedAmount: only grows after the other side has closed': [0, 0, 0, 0],
          'bufferedAmount: what waits when the connection ends stays': {
            waiting: true,
            kept: false,
          },
        },
      },
      {
        who: ['chromium'],
        does: 'loses at times what waits when the connection is reset',
        isAtTimes: true,
        seen: {
          'bufferedAmount: what waits when the connection ends stays': {
            waiting: true,
            kept: false,
          },
        },
      },
      {
        who: ['node-24', 'node-26'],
        does: 'does not count it after a failure either',
        seen: { 'bufferedAmount: only grows after a failure': [0, 0, 0, 0] },
      },
      {
        who: ['node-22'],
        does: 'throws after a failure, being still CONNECTING',
        seen: {
          'bufferedAmount: only grows after a failure': 'throws DOMException InvalidStateError',
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'Text is decoded without looking for a byte order mark; so are close reasons.',
    instead: [
      {
        who: NODE,
        does: 'takes it away',
        seen: {
          'message: text keeps its byte order mark': clean(['message', 'a']),
          'closed: a reason keeps its byte order mark': ['open', ['close', 1000, 'a', true]],
        },
      },
    ],
    verdict: 'The standard: what was sent arrives.',
  },
  {
    standard: 'Text that is not UTF-8 fails the connection (RFC 6455 8.1).',
    instead: [
      {
        who: ['node-24', 'node-26'],
        does: 'drops it and what is behind it, and goes on',
        seen: each(NOT_UTF8, clean()),
      },
      {
        who: ['node-22'],
        does: 'fires `error` and goes on',
        seen: each(NOT_UTF8, [
          'open',
          'error',
          ['message', 'the rest'],
          ['close', 1000, '', false],
        ]),
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard:
      'A length that is not written in the shortest way fails the connection (RFC 6455 5.2).',
    instead: [
      {
        who: NODE,
        does: 'takes it',
        seen: {
          'failure: a length that could be shorter': clean(
            ['message', 'a'],
            ['message', 'the rest'],
          ),
        },
      },
    ],
    verdict:
      'The standard: what two parsers read differently is how frames are smuggled past a proxy.',
  },
  {
    standard: 'A masked frame of the server fails the connection (RFC 6455 5.1).',
    instead: [
      {
        who: ['firefox'],
        does: 'takes it',
        seen: { 'failure: a masked frame': clean(['message', 'a'], ['message', 'the rest']) },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'Nothing limits the size of a message.',
    instead: [
      {
        who: ['aperto'],
        does: 'fails the connection over 1 MiB, unless `limits.maxMessageBytes` says otherwise',
        seen: { 'message: 2 MiB': ['close', 1006, '', false] },
      },
    ],
    verdict:
      'Ours by decision: a server must not be able to fill the memory of a program that runs for months.',
  },
];
