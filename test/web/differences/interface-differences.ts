import { usualEvent } from '../cases/event-cases.ts';
import type { Json } from '../conformance-case.ts';
import { type Difference, each, NODE } from './difference.ts';

/** An event that differs from the usual one in some of its properties. */
function event(type: string, kind: string, other: Readonly<Record<string, Json>>): Json {
  return { ...usualEvent(type, kind), ...other };
}

const untrusted = { isTrusted: false };

export const interfaceDifferences: readonly Difference[] = [
  {
    standard:
      'A relative URL is resolved against the URL of the page, and refused where there is none.',
    instead: [
      {
        who: ['chromium', 'firefox'],
        does: 'are a page, and resolve it',
        seen: {
          ...each(['URL: "/path"', 'URL: "path"', 'URL: "//HOST/path"'], 'ws://HOST/path'),
          'URL: "?query"': 'ws://HOST/?query',
          'URL: undefined is "undefined", null "null"': ['ws://HOST/undefined', 'ws://HOST/null'],
        },
      },
      {
        who: ['chromium'],
        does: 'resolves the empty one too; Firefox refuses it',
        seen: { 'URL: ""': 'ws://HOST/' },
      },
    ],
    verdict: 'All, each where it runs, but for Firefox and the empty URL.',
  },
  {
    standard: 'A host with a space is no host (URL).',
    instead: [
      { who: ['chromium'], does: 'escapes it', seen: { 'URL: "ws://a b/"': 'ws://a%20b/' } },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'All arguments are converted before the URL is judged (Web IDL).',
    instead: [
      {
        who: NODE,
        does: 'judges the URL first where an object is given for the subprotocols',
        seen: {
          'constructor: arguments are converted before the URL is judged': [
            'url',
            'throws DOMException SyntaxError',
          ],
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard:
      'An object that is not iterable is converted to a string, which names the subprotocol (Web IDL).',
    instead: [
      {
        who: NODE,
        does: 'takes it for options of its own, or throws',
        seen: {
          'protocols: an object becomes a string': null,
          'protocols: an object whose iterator is undefined becomes a string': 'throws TypeError',
          'protocols: an array-like is no sequence': null,
        },
      },
    ],
    verdict: 'The standard. Our options are the third argument, so that the second stays as it is.',
  },
  {
    standard: 'Subprotocols that differ in case are different.',
    instead: [
      {
        who: NODE,
        does: 'refuses them as the same',
        seen: { 'protocols: the same in another case': 'throws DOMException SyntaxError' },
      },
    ],
    verdict: 'The standard: values that occur once do not "occur more than once".',
  },
  {
    standard:
      'Setting `binaryType` to what is no value of it changes nothing; it is converted to a string first (Web IDL).',
    instead: [
      {
        who: NODE,
        does: "sets it to 'blob', and converts nothing",
        seen: each(
          [
            'binaryType: what becomes one as a string',
            "binaryType: '' is ignored",
            'binaryType: another case is ignored',
            "binaryType: 'nodebuffer' is ignored",
            'binaryType: undefined is ignored',
            'binaryType: null is ignored',
            'binaryType: a number is ignored',
            'binaryType: a symbol is no string',
          ],
          ['returned undefined', 'blob', 'blob'],
        ),
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'The prototype has the members of the interface and no others.',
    instead: [
      {
        who: ['node-26'],
        does: 'has `nodejs.ref` and `nodejs.unref`, by symbols',
        seen: {
          'prototype: what it has': [
            'CLOSED',
            'CLOSING',
            'CONNECTING',
            'OPEN',
            'Symbol(Symbol.toStringTag)',
            'Symbol(nodejs.ref)',
            'Symbol(nodejs.unref)',
            'binaryType',
            'bufferedAmount',
            'close',
            'constructor',
            'extensions',
            'onclose',
            'onerror',
            'onmessage',
            'onopen',
            'protocol',
            'readyState',
            'send',
            'url',
          ],
        },
      },
    ],
    verdict: 'Harmless: nobody meets them by accident.',
  },
  {
    standard: 'Events that the implementation fires have `isTrusted`.',
    instead: [
      {
        who: NODE,
        does: 'have not; and `error` is an ErrorEvent that tells what went wrong',
        seen: {
          'event: open': event('open', 'Event', untrusted),
          'event: message': event('message', 'MessageEvent', untrusted),
          'event: error': event('error', 'ErrorEvent', untrusted),
          'event: close': event('close', 'CloseEvent', untrusted),
          'failure: the error event does not say why': ['error', 'message'],
        },
      },
    ],
    verdict:
      'The standard for `isTrusted`; the cause is worth knowing outside a page, and ours tells it, too.',
  },
  {
    standard:
      'The `error` event does not say what went wrong, so that a page cannot explore the network.',
    instead: [
      {
        who: ['aperto'],
        does: 'has the ApertoError as `error`',
        seen: { 'failure: the error event does not say why': ['error'] },
      },
    ],
    verdict:
      'The standard in a page; a program on a server can see the network anyway, and has to know.',
  },
  {
    standard: 'A MessageEvent is tagged as one, and its `ports` are frozen.',
    instead: [
      {
        who: ['aperto-on-node-20'],
        does: 'has those of Node 20, which has a MessageEvent and no WebSocket',
        seen: {
          'event: message': event('message', 'MessageEvent', { text: '[object Event]' }),
          'event: what a MessageEvent has': {
            isMessageEvent: true,
            data: 'hello',
            origin: true,
            lastEventId: '',
            source: null,
            ports: [true, 0, false],
          },
        },
      },
    ],
    verdict: 'The standard; but an event must be an instance of the global MessageEvent.',
  },
  {
    standard:
      'An event handler keeps its place among the listeners when it is replaced, and is apart from them (HTML).',
    instead: [
      {
        who: NODE,
        does: 'adds the function itself as a listener, anew each time',
        seen: {
          'handler: one that replaces another has its turn': ['1', 'on'],
          'handler: one that comes after an object has its turn': ['1', 'on'],
          'handler: the same function as a listener is heard twice': ['it'],
          'handler: is not removed as a listener': [],
          'handler: set by a listener before it, it hears the event': ['1'],
        },
      },
      {
        who: ['node-22'],
        does: 'takes an object that is no function for null',
        seen: {
          'handler: an object that is no function is kept': Array(4).fill([
            'returned undefined',
            null,
          ]),
        },
      },
    ],
    verdict: 'The standard.',
  },
  {
    standard: 'Listeners for capture are called before the others, at the target too (DOM).',
    instead: [
      {
        who: ['aperto', ...NODE, 'chromium'],
        does: 'calls them in the order in which they were added',
        seen: { 'listener: one for capture comes first': ['bubble', 'capture'] },
      },
    ],
    verdict: "The standard. Ours inherits Node's EventTarget, so that `instanceof` holds.",
  },
];
