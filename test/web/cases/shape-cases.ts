import {
  type Case,
  type Json,
  outcome,
  type Socket,
  type SocketClass,
  type Stage,
} from '../conformance-case.ts';

/** How a property is defined, shortly. */
function told(object: object, key: PropertyKey): Json {
  const descriptor = Object.getOwnPropertyDescriptor(object, key);
  if (descriptor === undefined) return null;
  const { get, set, value } = descriptor;
  const flags = (['writable', 'enumerable', 'configurable'] as const).filter(
    (flag) => descriptor[flag],
  );
  if (get === undefined) {
    return [typeof value === 'function' ? 'function' : String(value), ...flags];
  }
  return [set === undefined ? 'get' : 'get and set', ...flags];
}

const attributes = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol'];
const handlers = ['onopen', 'onmessage', 'onerror', 'onclose'];
const constants = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];

/** The same of each, from a list of names. */
function forEach<T extends Json>(names: readonly string[], look: (name: string) => T): Json {
  return Object.fromEntries(names.map((name) => [name, look(name)]));
}

function constantsAsDefined(): Json {
  return Object.fromEntries(constants.map((name, value) => [name, [String(value), 'enumerable']]));
}

function memberOf(socket: Socket, name: string): unknown {
  return Reflect.get(socket, name);
}

/** What the getter gives for another `this`. */
function getFrom({ prototype }: SocketClass, name: string, self: unknown): Json {
  const getter = Object.getOwnPropertyDescriptor(prototype, name)?.get;
  if (getter === undefined) return 'no getter';
  return outcome(() => Reflect.apply(getter, self, []));
}

function callOn({ prototype }: SocketClass, name: string, self: unknown): Json {
  const method: unknown = Reflect.get(
    Object.getOwnPropertyDescriptor(prototype, name) ?? {},
    'value',
  );
  if (typeof method !== 'function') return 'no method';
  return outcome(() => Reflect.apply(method, self, ['']));
}

const onInterface: readonly Case[] = [
  {
    name: 'interface: the constants on it',
    expected: constantsAsDefined(),
    run: ({ WebSocket }) => forEach(constants, (name) => told(WebSocket, name)),
  },
  {
    name: 'interface: the constants on its prototype',
    expected: constantsAsDefined(),
    run: ({ WebSocket }) => forEach(constants, (name) => told(WebSocket.prototype, name)),
  },
  {
    name: 'interface: nothing else is on it',
    expected: [...constants, 'length', 'name', 'prototype'].sort(),
    run: ({ WebSocket }) => Reflect.ownKeys(WebSocket).map(String).sort(),
  },
  {
    name: 'interface: its name, length, prototype and what it inherits from',
    expected: {
      name: ['WebSocket', 'configurable'],
      length: ['1', 'configurable'],
      prototype: ['[object WebSocket]'],
      inherits: true,
    },
    run: ({ WebSocket }) => ({
      ...Object(forEach(['name', 'length', 'prototype'], (name) => told(WebSocket, name))),
      inherits: Object.getPrototypeOf(WebSocket) === EventTarget,
    }),
  },
  {
    name: 'interface: needs `new`',
    expected: 'throws TypeError',
    run: ({ WebSocket, host }) =>
      outcome(() => Reflect.apply(WebSocket as unknown as () => void, undefined, [`ws://${host}`])),
  },
  {
    name: 'interface: can be extended',
    expected: { type: 'Derived', isWebSocket: true, own: 'its own' },
    run: (stage) => {
      class Derived extends stage.WebSocket {
        own = 'its own';
      }
      const socket = new Derived(stage.address());
      socket.close();
      const { own } = socket;
      return { type: socket.constructor.name, isWebSocket: socket instanceof stage.WebSocket, own };
    },
  },
  {
    name: 'interface: is the constructor of what it makes, which is an EventTarget',
    expected: {
      isWebSocket: true,
      isEventTarget: true,
      constructor: true,
      text: '[object WebSocket]',
    },
    run: (stage) => {
      const socket = stage.dial();
      return {
        isWebSocket: socket instanceof stage.WebSocket,
        isEventTarget: socket instanceof EventTarget,
        constructor: socket.constructor === stage.WebSocket,
        text: Object.prototype.toString.call(socket),
      };
    },
  },
];

const onPrototype: readonly Case[] = [
  {
    name: 'prototype: what it has',
    expected: [
      ...attributes,
      ...handlers,
      ...constants,
      'binaryType',
      'close',
      'constructor',
      'send',
      'Symbol(Symbol.toStringTag)',
    ].sort(),
    run: ({ WebSocket }) => Reflect.ownKeys(WebSocket.prototype).map(String).sort(),
  },
  {
    name: 'prototype: readonly attributes',
    expected: forEach(attributes, () => ['get', 'enumerable', 'configurable']),
    run: ({ WebSocket }) => forEach(attributes, (name) => told(WebSocket.prototype, name)),
  },
  {
    name: 'prototype: attributes that can be set',
    expected: forEach([...handlers, 'binaryType'], () => [
      'get and set',
      'enumerable',
      'configurable',
    ]),
    run: ({ WebSocket }) =>
      forEach([...handlers, 'binaryType'], (name) => told(WebSocket.prototype, name)),
  },
  {
    name: 'prototype: methods',
    expected: forEach(['send', 'close'], () => [
      'function',
      'writable',
      'enumerable',
      'configurable',
    ]),
    run: ({ WebSocket }) => forEach(['send', 'close'], (name) => told(WebSocket.prototype, name)),
  },
  {
    name: 'prototype: the names and lengths of its functions',
    expected: [
      'send 1',
      'close 0',
      'get url 0',
      'get onopen 0',
      'set onopen 1',
      'set binaryType 1',
    ],
    run: ({ WebSocket: { prototype } }) => {
      const part = (key: string, name: 'value' | 'get' | 'set'): Json => {
        const found: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.[name];
        return typeof found === 'function' ? `${found.name} ${found.length}` : null;
      };
      return [
        part('send', 'value'),
        part('close', 'value'),
        part('url', 'get'),
        part('onopen', 'get'),
        part('onopen', 'set'),
        part('binaryType', 'set'),
      ];
    },
  },
  {
    name: 'prototype: Symbol.toStringTag',
    expected: ['WebSocket', 'configurable'],
    run: ({ WebSocket }) => told(WebSocket.prototype, Symbol.toStringTag),
  },
  {
    name: 'prototype: inherits from that of EventTarget',
    expected: true,
    run: ({ WebSocket }) => Object.getPrototypeOf(WebSocket.prototype) === EventTarget.prototype,
  },
  {
    name: 'prototype: is no WebSocket itself',
    expected: forEach([...attributes, ...handlers, 'binaryType'], () => 'throws TypeError'),
    run: ({ WebSocket }) =>
      forEach([...attributes, ...handlers, 'binaryType'], (name) =>
        outcome(() => Reflect.get(WebSocket.prototype, name)),
      ),
  },
  {
    name: 'prototype: getters refuse another `this`',
    expected: forEach([...attributes, ...handlers, 'binaryType'], () => [
      'throws TypeError',
      'throws TypeError',
      'throws TypeError',
    ]),
    run: ({ WebSocket }) =>
      forEach([...attributes, ...handlers, 'binaryType'], (name) =>
        [{}, undefined, new EventTarget()].map((self) => getFrom(WebSocket, name, self)),
      ),
  },
  {
    name: 'prototype: methods refuse another `this`',
    expected: forEach(['send', 'close'], () => ['throws TypeError', 'throws TypeError']),
    run: ({ WebSocket }) =>
      forEach(['send', 'close'], (name) =>
        [{}, new EventTarget()].map((self) => callOn(WebSocket, name, self)),
      ),
  },
];

/** Assigns as strict code does. */
function assign(socket: Socket, name: string): Json {
  const values = socket as unknown as Record<string, unknown>;
  return outcome(() => {
    values[name] = 1;
  });
}

const onObject: readonly Case[] = [
  {
    name: 'object: shows no property of its own',
    expected: [],
    run: (stage) => Object.keys(stage.dial()),
  },
  {
    name: 'object: `for in` finds the members',
    expected: [...attributes, ...handlers, ...constants, 'binaryType', 'close', 'send'].sort(),
    run: (stage) => {
      const inherited = Object.keys(EventTarget.prototype);
      const found: string[] = [];
      for (const name in stage.dial()) if (!inherited.includes(name)) found.push(name);
      return found.sort();
    },
  },
  {
    name: 'object: what it has at first',
    expected: {
      readyState: 0,
      bufferedAmount: 0,
      extensions: '',
      protocol: '',
      binaryType: 'blob',
      onopen: null,
      onmessage: null,
      onerror: null,
      onclose: null,
    },
    run: (stage) => {
      const socket = stage.dial({ fields: { 'sec-websocket-protocol': 'chat' } }, 'chat');
      const { url, ...first } = {
        ...Object(forEach([...attributes, ...handlers], (name) => memberOf(socket, name) as Json)),
        binaryType: socket.binaryType,
      };
      return first;
    },
  },
  {
    name: 'object: readonly attributes and constants cannot be assigned',
    expected: forEach([...attributes, ...constants], () => 'throws TypeError'),
    run: (stage) => {
      const socket = stage.dial();
      return forEach([...attributes, ...constants], (name) => assign(socket, name));
    },
  },
  {
    name: 'object: is the same type of thing in each',
    expected: { url: 'string', readyState: 'number', send: 'undefined', close: 'undefined' },
    run: async (stage) => {
      const socket = await stage.open();
      return {
        url: typeof socket.url,
        readyState: typeof socket.readyState,
        send: typeof socket.send(''),
        close: typeof socket.close(),
      };
    },
  },
];

function binaryType(given: unknown): (stage: Stage) => Json {
  return (stage) => {
    const socket = stage.dial();
    const set = outcome(() => {
      socket.binaryType = given;
    });
    const first = socket.binaryType as string;
    socket.binaryType = 'arraybuffer';
    outcome(() => {
      socket.binaryType = given;
    });
    return [set, first, socket.binaryType as string];
  };
}

const ignored = ['returned undefined', 'blob', 'arraybuffer'];

const binaryTypes: readonly Case[] = [
  {
    name: "binaryType: 'blob'",
    expected: ['returned undefined', 'blob', 'blob'],
    run: binaryType('blob'),
  },
  {
    name: "binaryType: 'arraybuffer'",
    expected: ['returned undefined', 'arraybuffer', 'arraybuffer'],
    run: binaryType('arraybuffer'),
  },
  {
    name: 'binaryType: what becomes one as a string',
    expected: ['returned undefined', 'arraybuffer', 'arraybuffer'],
    run: binaryType({ toString: () => 'arraybuffer' }),
  },
  { name: "binaryType: '' is ignored", expected: ignored, run: binaryType('') },
  { name: 'binaryType: another case is ignored', expected: ignored, run: binaryType('Blob') },
  { name: "binaryType: 'nodebuffer' is ignored", expected: ignored, run: binaryType('nodebuffer') },
  { name: 'binaryType: undefined is ignored', expected: ignored, run: binaryType(undefined) },
  { name: 'binaryType: null is ignored', expected: ignored, run: binaryType(null) },
  { name: 'binaryType: a number is ignored', expected: ignored, run: binaryType(1) },
  {
    name: 'binaryType: a symbol is no string',
    expected: ['throws TypeError', 'blob', 'arraybuffer'],
    run: binaryType(Symbol('blob')),
  },
];

export const shapeCases: readonly Case[] = [
  ...onInterface,
  ...onPrototype,
  ...onObject,
  ...binaryTypes,
];
