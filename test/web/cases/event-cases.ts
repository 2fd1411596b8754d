import {
  type Case,
  ended,
  history,
  type Json,
  next,
  type Socket,
  type SocketEvent,
  type Stage,
  sleep,
  told,
} from '../conformance-case.ts';

const types = ['open', 'message', 'error', 'close'];

/** What events of all four types have in common. */
function common(socket: Socket, event: SocketEvent): Json {
  return {
    type: event.type,
    kind: event.constructor.name,
    text: Object.prototype.toString.call(event),
    isEvent: event instanceof Event,
    isTrusted: event.isTrusted,
    bubbles: event.bubbles,
    cancelable: event.cancelable,
    composed: event.composed,
    phase: event.eventPhase,
    target: event.target === socket && event.currentTarget === socket,
    path: event.composedPath().length,
    time: typeof event.timeStamp,
  };
}

/** What it is for an event that is as it should be. */
export function usualEvent(type: string, kind: string): Readonly<Record<string, Json>> {
  return {
    type,
    kind,
    text: `[object ${kind}]`,
    isEvent: true,
    isTrusted: true,
    bubbles: false,
    cancelable: false,
    composed: false,
    phase: 2,
    target: true,
    path: 1,
    time: 'number',
  };
}

/** Looks at an event while it is dispatched. */
function during(socket: Socket, type: string, look: (event: SocketEvent) => Json): Promise<Json> {
  return new Promise((resolve) => {
    socket.addEventListener(type, (event) => resolve(look(event)));
  });
}

/** One that opens, gets `hello`, and is closed by the server. */
function visited(stage: Stage): Socket {
  return stage.dial({ steps: [{ text: 'hello' }, { close: [4000, 'bye'] }] });
}

function refused(stage: Stage): Socket {
  return stage.dial({ status: 403 });
}

/** Whether it is one of the global class, where the runtime has that. */
function isInstance(event: SocketEvent, name: string): Json {
  const type: unknown = Reflect.get(globalThis, name);
  return typeof type !== 'function' || event instanceof type;
}

const properties: readonly Case[] = [
  {
    name: 'event: open',
    expected: usualEvent('open', 'Event'),
    run: (stage) => {
      const socket = visited(stage);
      return during(socket, 'open', (event) => common(socket, event));
    },
  },
  {
    name: 'event: message',
    expected: usualEvent('message', 'MessageEvent'),
    run: (stage) => {
      const socket = visited(stage);
      return during(socket, 'message', (event) => common(socket, event));
    },
  },
  {
    name: 'event: error',
    expected: usualEvent('error', 'Event'),
    run: (stage) => {
      const socket = refused(stage);
      return during(socket, 'error', (event) => common(socket, event));
    },
  },
  {
    name: 'event: close',
    expected: usualEvent('close', 'CloseEvent'),
    run: (stage) => {
      const socket = visited(stage);
      return during(socket, 'close', (event) => common(socket, event));
    },
  },
  {
    name: 'event: what a MessageEvent has',
    expected: {
      isMessageEvent: true,
      data: 'hello',
      origin: true,
      lastEventId: '',
      source: null,
      ports: [true, 0, true],
    },
    run: (stage) =>
      during(visited(stage), 'message', (event) => ({
        isMessageEvent: isInstance(event, 'MessageEvent'),
        data: event.data as string,
        origin: event.origin === `ws://${stage.host}`,
        lastEventId: event.lastEventId ?? null,
        source: event.source as null,
        ports: [
          Array.isArray(event.ports),
          event.ports?.length ?? null,
          Object.isFrozen(event.ports),
        ],
      })),
  },
  {
    name: 'event: the origin is that of the URL, not of the page',
    expected: true,
    run: (stage) => {
      const { port } = new URL(`http://${stage.host}`);
      const address = stage.address({ steps: [{ text: 'hello' }] });
      const socket = stage.construct(address.replace('127.0.0.1', 'user:password@LOCALHOST'));
      return during(socket, 'message', (event) => event.origin === `ws://localhost:${port}`);
    },
  },
  {
    name: 'event: what a CloseEvent has',
    expected: { isCloseEvent: true, wasClean: true, code: 4000, reason: 'bye' },
    run: (stage) =>
      during(visited(stage), 'close', (event) => ({
        isCloseEvent: isInstance(event, 'CloseEvent'),
        wasClean: event.wasClean ?? null,
        code: event.code ?? null,
        reason: event.reason ?? null,
      })),
  },
  {
    name: 'event: the attributes of a CloseEvent are on its prototype, which inherits from that of Event',
    expected: [['code', 'reason', 'wasClean'], true],
    run: (stage) =>
      during(visited(stage), 'close', (event) => {
        const prototype: object = Object.getPrototypeOf(event);
        const found = ['code', 'reason', 'wasClean'].filter(
          (name) => Object.getOwnPropertyDescriptor(prototype, name)?.enumerable === true,
        );
        return [found, Object.getPrototypeOf(prototype) === Event.prototype];
      }),
  },
  {
    name: 'event: readyState during each',
    expected: [
      ['open', 1],
      ['message', 1],
      ['close', 3],
    ],
    run: (stage) => states(visited(stage)),
  },
  {
    name: 'event: readyState during those of a failure',
    expected: [
      ['error', 3],
      ['close', 3],
    ],
    run: (stage) => states(refused(stage)),
  },
];

async function states(socket: Socket): Promise<Json> {
  const seen: Json[] = [];
  for (const type of types) {
    socket.addEventListener(type, () => seen.push([type, socket.readyState]));
  }
  await ended(socket);
  return seen;
}

/** Notes events, and what runs as a microtask after each. */
async function microtasks(socket: Socket): Promise<Json> {
  const seen: Json[] = [];
  for (const type of types) {
    socket.addEventListener(type, (event) => {
      const name = type === 'message' ? String(event.data) : type;
      seen.push(name);
      queueMicrotask(() => {
        seen.push(`after ${name}`);
        queueMicrotask(() => seen.push(`after after ${name}`));
      });
    });
  }
  await ended(socket);
  await sleep(5);
  return seen;
}

function withMicrotasks(...names: readonly string[]): Json {
  return names.flatMap((name) => [name, `after ${name}`, `after after ${name}`]);
}

const tasks: readonly Case[] = [
  {
    name: 'tasks: the constructor fires nothing; who listens some microtasks later hears all',
    expected: ['open', ['message', 'hello'], ['close', 4000, 'bye', true]],
    run: async (stage) => {
      const socket = visited(stage);
      for (let round = 0; round < 50; round++) await undefined;
      return await history(socket);
    },
  },
  {
    name: 'tasks: a failure is heard by who listens some microtasks later',
    expected: ['error', ['close', 1006, '', false]],
    run: async (stage) => {
      const socket = refused(stage);
      for (let round = 0; round < 50; round++) await undefined;
      return await history(socket);
    },
  },
  {
    name: 'tasks: who waits for `open` with a promise hears the first message',
    expected: ['message', 'hello'],
    run: async (stage) => {
      const socket = stage.dial({ together: true, steps: [{ text: 'hello' }] });
      await next(socket, 'open');
      await undefined;
      return told(await next(socket, 'message'));
    },
  },
  {
    name: 'tasks: who waits for each message with a promise hears all of one packet',
    expected: ['a', 'b', 'c'],
    run: async (stage) => {
      const socket = stage.dial({
        together: true,
        steps: [{ text: 'a' }, { text: 'b' }, { text: 'c' }],
      });
      const heard: Json[] = [];
      while (heard.length < 3) heard.push((await next(socket, 'message')).data as string);
      return heard;
    },
  },
  {
    name: 'tasks: microtasks run between the events of one packet',
    expected: withMicrotasks('open', 'a', 'b', 'close'),
    run: (stage) =>
      microtasks(
        stage.dial({ together: true, steps: [{ text: 'a' }, { text: 'b' }, { close: [1000] }] }),
      ),
  },
  {
    name: 'tasks: microtasks run between the listeners of an event',
    expected: ['first', 'microtask', 'second'],
    run: async (stage) => {
      const socket = visited(stage);
      const seen: Json[] = [];
      socket.addEventListener('message', () => {
        seen.push('first');
        queueMicrotask(() => seen.push('microtask'));
      });
      socket.addEventListener('message', () => seen.push('second'));
      await next(socket, 'close');
      return seen;
    },
  },
  {
    name: 'tasks: `error` and `close` are one task, with microtasks between',
    expected: withMicrotasks('error', 'close'),
    run: (stage) => microtasks(refused(stage)),
  },
  {
    name: 'tasks: a timer does not come between `error` and `close`',
    expected: ['error', 'close', 'timer'],
    run: async (stage) => {
      const socket = refused(stage);
      const seen: Json[] = [];
      socket.addEventListener('close', () => seen.push('close'));
      socket.addEventListener('error', () => {
        seen.push('error');
        setTimeout(() => seen.push('timer'), 0);
      });
      await ended(socket);
      await sleep(20);
      return seen;
    },
  },
  {
    name: 'tasks: readyState is still OPEN at the last message before the close of one packet',
    expected: [1, 1],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'a' }, { text: 'b' }, { close: [1000] }] });
      const seen: Json[] = [];
      socket.addEventListener('message', () => seen.push(socket.readyState));
      await next(socket, 'close');
      return seen;
    },
  },
  {
    name: 'tasks: two sockets open in any order, each with its own events',
    expected: [
      ['open', ['message', '1'], ['close', 1000, '', true]],
      ['open', ['message', '2'], ['close', 1000, '', true]],
    ],
    run: (stage) =>
      Promise.all(
        ['1', '2'].map((text) =>
          history(stage.again().dial({ steps: [{ text }, { close: [1000] }] })),
        ),
      ),
  },
];

export const eventCases: readonly Case[] = [...properties, ...tasks];
