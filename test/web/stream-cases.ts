/**
 * What is to be seen of a WebSocketStream (https://github.com/whatwg/websockets/pull/48), whichever implements it.
 * These modules run as they are in a page and in Node: nothing of either is imported.
 */

import type { Surroundings } from './stream-case.ts';
import { readAll, type Seen, Stage, type StreamCase, settlesWithin } from './stream-case.ts';
import { streamEndCases } from './stream-end-cases.ts';

const shapeCases: readonly StreamCase[] = [
  {
    name: 'the members are enumerable, and count their required arguments',
    expected: {
      'WebSocketStream.length': 1,
      'WebSocketError.length': 0,
      'close.length': 0,
      stream: ['close', 'closed', 'opened', 'url'],
      error: ['closeCode', 'reason'],
      tags: ['[object WebSocketStream]', '[object WebSocketError]'],
    },
    run({ WebSocketStream, WebSocketError }) {
      const members = (prototype: object): Seen =>
        Object.keys(Object.getOwnPropertyDescriptors(prototype))
          .filter((key) => Object.prototype.propertyIsEnumerable.call(prototype, key))
          .sort();
      return {
        'WebSocketStream.length': WebSocketStream.length,
        'WebSocketError.length': WebSocketError.length,
        'close.length': WebSocketStream.prototype.close.length,
        stream: members(WebSocketStream.prototype),
        error: members(WebSocketError.prototype),
        tags: [WebSocketStream.prototype, WebSocketError.prototype].map((prototype) =>
          Object.prototype.toString.call(prototype),
        ),
      };
    },
  },
  {
    name: 'a WebSocketError without anything',
    expected: ['WebSocketError', 0, '', null, '', true],
    run({ WebSocketError }) {
      const error = new WebSocketError();
      const { name, code, message, closeCode, reason } = error;
      return [name, code, message, closeCode, reason, error instanceof DOMException];
    },
  },
  {
    name: 'a WebSocketError of what is legal',
    expected: [
      ['message', 3456, 'reason'],
      ['', 3333, ''],
      ['', 1000, 'a reason alone'],
      ['', 1000, ''],
      ['', null, ''],
      ['undefined', 1000, '\ufffd'],
      ['', 1000, ''],
    ],
    run({ WebSocketError }) {
      return [
        ['message', { closeCode: 3456, reason: 'reason' }],
        ['', { closeCode: 3333 }],
        [undefined, { reason: 'a reason alone' }],
        ['', { closeCode: 1000.9 }],
        ['', null],
        ['undefined', { reason: '\ud800', closeCode: '1000' }],
        ['', { closeCode: 1000, reason: undefined }],
      ].map((values) => {
        const { message, closeCode, reason } = new WebSocketError(...values);
        return [message, closeCode, reason];
      });
    },
  },
  {
    name: 'a WebSocketError of what is not legal',
    expected: [
      'DOMException InvalidAccessError',
      'DOMException InvalidAccessError',
      'DOMException InvalidAccessError',
      'DOMException InvalidAccessError',
      'DOMException InvalidAccessError',
      'DOMException SyntaxError',
      'DOMException SyntaxError',
      'TypeError',
      'TypeError',
      'TypeError',
      'TypeError',
      'TypeError',
    ],
    run: (stage) =>
      [
        { closeCode: 999 },
        { closeCode: 1001 },
        { closeCode: 2999 },
        { closeCode: 5000 },
        { closeCode: null },
        { reason: 'x'.repeat(124) },
        { reason: '\u{1f50c}'.repeat(32) },
        { closeCode: 65_536 },
        { closeCode: -1 },
        { closeCode: Number.NaN },
        { reason: Symbol('s') },
        true,
      ].map((init) => stage.outcome(() => new stage.WebSocketError('', init))),
  },
];

const constructorCases: readonly StreamCase[] = [
  {
    name: 'arguments of the wrong types',
    expected: ['TypeError', 'TypeError', 'TypeError', 'TypeError', 'TypeError', 'TypeError'],
    run: (stage) => [
      stage.outcome(() => stage.construct()),
      stage.outcome(() => stage.construct(Symbol('url'))),
      stage.outcome(() => stage.dial({}, true)),
      stage.outcome(() => stage.dial({}, { protocols: 'one' })),
      stage.outcome(() => stage.dial({}, { signal: null })),
      stage.outcome(() => stage.dial({}, { signal: {} })),
    ],
  },
  {
    name: 'a SyntaxError for URLs',
    expected: Array(5).fill('DOMException SyntaxError'),
    run: (stage) =>
      ['ws://[', 'ftp://127.0.0.1/', 'ws://127.0.0.1/#', 'ws://127.0.0.1/#a', 'about:blank'].map(
        (url) => stage.outcome(() => stage.construct(url)),
      ),
  },
  {
    name: 'a SyntaxError for protocols',
    expected: Array(4).fill('DOMException SyntaxError'),
    run: (stage) =>
      [[''], ['a b'], ['a', 'a'], ['\u00e9']].map((protocols) =>
        stage.outcome(() => stage.dial({}, { protocols })),
      ),
  },
  {
    name: 'the URL is serialized, with ws for http',
    expected: ['ws://127.0.0.1:9/%E2%82%AC?a', 'wss://127.0.0.1:9/'],
    run: (stage) =>
      ['http://127.0.0.1:9/\u20ac?a', 'HTTPS://127.0.0.1:9'].map((url) => {
        const { signal } = aborted();
        return stage.construct(url, { signal }).url;
      }),
  },
  {
    name: 'what was agreed on',
    expected: {
      protocol: 'b',
      extensions: '',
      keys: ['extensions', 'protocol', 'readable', 'writable'],
    },
    async run(stage) {
      const protocols = new Set(['a', 'b']);
      const fields = { 'sec-websocket-protocol': 'b' };
      const info = await stage.dial({ fields }, { protocols }).opened;
      const { protocol, extensions } = info;
      return { protocol, extensions, keys: Object.keys(info).sort() };
    },
  },
  {
    name: 'a refused handshake rejects both',
    expected: [
      ['WebSocketError', null, ''],
      ['WebSocketError', 1006, ''],
    ],
    async run(stage) {
      const stream = stage.dial({ status: 403 });
      return [await stage.settled(stream.opened), await stage.settled(stream.closed)];
    },
  },
  {
    name: 'a subprotocol that was not offered rejects both',
    expected: [
      ['WebSocketError', null, ''],
      ['WebSocketError', 1006, ''],
    ],
    async run(stage) {
      const fields = { 'sec-websocket-protocol': 'c' };
      const stream = stage.dial({ fields }, { protocols: ['a'] });
      return [await stage.settled(stream.opened), await stage.settled(stream.closed)];
    },
  },
];

function aborted(reason?: unknown): AbortController {
  const controller = new AbortController();
  controller.abort(reason);
  return controller;
}

const signalCases: readonly StreamCase[] = [
  {
    name: 'a signal that is aborted already rejects both with its reason',
    expected: ['not an error: why', 'not an error: why'],
    async run(stage) {
      const { signal } = aborted('why');
      const stream = stage.dial({}, { signal });
      return [await stage.settled(stream.opened), await stage.settled(stream.closed)];
    },
  },
  {
    name: 'an abort during the handshake rejects both with its reason',
    expected: ['not an error: why', 'not an error: why'],
    async run(stage) {
      const controller = new AbortController();
      const stream = stage.dial({ delayed: true }, { signal: controller.signal });
      setTimeout(() => controller.abort('why'), 20);
      return [await stage.settled(stream.opened), await stage.settled(stream.closed)];
    },
  },
  {
    name: 'an abort after that does nothing',
    expected: ['hello', { closeCode: 1005, reason: '' }],
    async run(stage) {
      const controller = new AbortController();
      const { signal } = controller;
      const stream = stage.dial({ steps: ['echo'] }, { signal });
      const { readable, writable } = await stream.opened;
      controller.abort();
      await writable.getWriter().write('hello');
      const { value } = await readable.getReader().read();
      stream.close();
      return [value as string, await stage.settled(stream.closed)];
    },
  },
];

const messageCases: readonly StreamCase[] = [
  {
    name: 'text and binary are read',
    expected: ['text', '', { Uint8Array: [1, 2] }, { Uint8Array: [] }],
    async run(stage) {
      const steps = [
        { text: 'text' },
        { text: '' },
        { binary: [1, 2] },
        { binary: [] },
        { close: [1000] },
      ] as const;
      const { readable } = await stage.open({ steps });
      return stage.settled(readAll(readable));
    },
  },
  {
    name: 'what was sent with the handshake and closed is read afterwards',
    expected: ['first', 'second', { closeCode: 4001, reason: 'done' }],
    async run(stage) {
      const steps = [{ text: 'first' }, { text: 'second' }, { close: [4001, 'done'] }] as const;
      const stream = await stage.open({ together: true, steps });
      const reader = stream.readable.getReader();
      const { value: first } = await reader.read();
      const { value: second } = await reader.read();
      return [first as string, second as string, await stage.settled(stream.closed)];
    },
  },
  {
    name: 'text, bytes and everything else are written',
    expected: [
      '81 74657874',
      '81 efbfbd',
      '82 0102',
      '82 0203',
      '82 0102',
      '81 3132',
      '81 756e646566696e6564',
      '81 6e756c6c',
      '81 5b6f626a656374204f626a6563745d',
      '81 612c62',
      '88',
    ],
    async run(stage) {
      const { writable, closed } = await stage.open();
      const writer = writable.getWriter();
      const bytes = new Uint8Array([1, 2, 3, 4]);
      const chunks = [
        'text',
        '\udc00',
        new Uint8Array([1, 2]),
        new DataView(bytes.buffer, 1, 2),
        new Uint8Array([1, 2]).buffer,
        ...[12, undefined, null, {}, ['a', 'b']],
      ];
      for (const chunk of chunks) await writer.write(chunk);
      await writer.close();
      await closed;
      return stage.frames();
    },
  },
  {
    name: 'what cannot be converted is refused',
    expected: ['TypeError', 'TypeError', 'TypeError', 'not an error: no text'],
    run: (stage) => {
      // The types of ES2023 do not have it yet.
      const resizable: unknown = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]);
      const unwilling = {
        toString() {
          throw 'no text';
        },
      };
      return Promise.all(
        [Symbol('s'), new Uint8Array(new SharedArrayBuffer(8)), resizable, unwilling].map(
          async (chunk) => {
            const { writable } = await stage.open();
            return stage.settled(writable.getWriter().write(chunk));
          },
        ),
      );
    },
  },
];

export const streamCases: readonly StreamCase[] = [
  ...shapeCases,
  ...constructorCases,
  ...signalCases,
  ...messageCases,
  ...streamEndCases,
];

/** A case in which nothing happens for so long will see nothing more; some move 16 MiB. */
const PATIENCE_MS = 10_000;

/** What each case saw, by its name. */
export async function observe(
  surroundings: Surroundings,
  isWanted: (name: string) => boolean = () => true,
): Promise<Record<string, Seen>> {
  const seen: Record<string, Seen> = {};
  for (const { name, run } of streamCases) {
    if (!isWanted(name)) continue;
    const stage = new Stage(surroundings);
    const ran = Promise.resolve(stage).then(run);
    const isDone = await settlesWithin(PATIENCE_MS, ran);
    seen[name] = isDone ? await stage.settled(ran) : 'waited in vain';
    stage.end();
  }
  return seen;
}
