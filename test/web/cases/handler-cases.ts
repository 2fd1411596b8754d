import {
  type Case,
  ended,
  type Json,
  next,
  outcome,
  type Socket,
  type Stage,
  sleep,
} from '../conformance-case.ts';

const attributes = ['onopen', 'onmessage', 'onerror', 'onclose'] as const;

/** What each attribute is after it was set to a value. */
function afterSetting(make: () => unknown): (stage: Stage) => Json {
  return (stage) => {
    const socket = stage.dial();
    return attributes.map((name) => {
      const value = make();
      socket[name] = () => {};
      const set = outcome(() => {
        socket[name] = value;
      });
      if (socket[name] === value && value !== null) return 'kept';
      return [set, socket[name] as Json];
    });
  };
}

const kept: Json = attributes.map(() => 'kept');
const nulled: Json = attributes.map(() => ['returned undefined', null]);

const setting: readonly Case[] = [
  { name: 'handler: a function is kept', expected: kept, run: afterSetting(() => () => {}) },
  {
    name: 'handler: an object that is no function is kept',
    expected: kept,
    run: afterSetting(() => ({ handleEvent() {} })),
  },
  { name: 'handler: null is null', expected: nulled, run: afterSetting(() => null) },
  { name: 'handler: undefined is null', expected: nulled, run: afterSetting(() => undefined) },
  { name: 'handler: a string is null', expected: nulled, run: afterSetting(() => 'code()') },
  { name: 'handler: a number is null', expected: nulled, run: afterSetting(() => 1) },
  { name: 'handler: a symbol is null', expected: nulled, run: afterSetting(() => Symbol('f')) },
];

/** A message comes once all is set up; what was heard until it has passed. */
async function heard(
  stage: Stage,
  setUp: (socket: Socket, hear: (name: string) => () => void) => void,
): Promise<Json> {
  const seen: string[] = [];
  const socket = await stage.open({ steps: ['read', { text: 'hello' }, { close: [1000] }] });
  setUp(socket, (name) => () => seen.push(name));
  socket.send('now');
  await next(socket, 'close');
  return seen;
}

function order(
  name: string,
  expected: readonly string[],
  setUp: (socket: Socket, hear: (name: string) => () => void) => void,
): Case {
  return { name, expected, run: (stage) => heard(stage, setUp) };
}

const turns: readonly Case[] = [
  order('handler: takes its turn among the listeners', ['1', 'on', '2'], (socket, hear) => {
    socket.addEventListener('message', hear('1'));
    socket.onmessage = hear('on');
    socket.addEventListener('message', hear('2'));
  }),
  order('handler: one that replaces another has its turn', ['on', '1'], (socket, hear) => {
    socket.onmessage = hear('replaced');
    socket.addEventListener('message', hear('1'));
    socket.onmessage = hear('on');
  }),
  order('handler: one that comes after null comes last', ['1', 'on'], (socket, hear) => {
    socket.onmessage = hear('replaced');
    socket.addEventListener('message', hear('1'));
    socket.onmessage = null;
    socket.onmessage = hear('on');
  }),
  order('handler: one that comes after an object has its turn', ['on', '1'], (socket, hear) => {
    socket.onmessage = {};
    socket.addEventListener('message', hear('1'));
    socket.onmessage = hear('on');
  }),
  order('handler: null ends it', ['1'], (socket, hear) => {
    socket.onmessage = hear('on');
    socket.addEventListener('message', hear('1'));
    socket.onmessage = null;
  }),
  order('handler: the same function as a listener is heard twice', ['it', 'it'], (socket, hear) => {
    const it = hear('it');
    socket.onmessage = it;
    socket.addEventListener('message', it);
  }),
  order('handler: is not removed as a listener', ['on'], (socket, hear) => {
    const on = hear('on');
    socket.onmessage = on;
    (socket.removeEventListener as (type: string, listener: unknown) => void)('message', on);
  }),
  order('handler: set by a listener before it, it hears the event', ['1', 'on'], (socket, hear) => {
    const on = hear('on');
    socket.addEventListener('message', hear('1'));
    socket.addEventListener('message', () => {
      socket.onmessage = on;
    });
    socket.onmessage = hear('replaced');
  }),
  order('handler: its handleEvent is not called', [], (socket, hear) => {
    socket.onmessage = { handleEvent: hear('handleEvent') };
  }),
  order('listener: its handleEvent is looked up when the event comes', ['late'], (socket, hear) => {
    const listener = { handleEvent: hear('early') };
    socket.addEventListener('message', listener);
    listener.handleEvent = hear('late');
  }),
  order('listener: null is none', ['1'], (socket, hear) => {
    socket.addEventListener('message', null);
    socket.addEventListener('message', hear('1'));
  }),
  order('listener: the same twice is one', ['1'], (socket, hear) => {
    const one = hear('1');
    socket.addEventListener('message', one);
    socket.addEventListener('message', one);
  }),
  order('listener: one for capture comes first', ['capture', 'bubble'], (socket, hear) => {
    socket.addEventListener('message', hear('bubble'));
    socket.addEventListener('message', hear('capture'), { capture: true });
  }),
  order('listener: removed by one before it', ['1'], (socket, hear) => {
    const two = hear('2');
    socket.addEventListener('message', hear('1'));
    socket.addEventListener('message', () => socket.removeEventListener('message', two));
    socket.addEventListener('message', two);
  }),
  order('listener: added by one before it hears the next only', ['1'], (socket, hear) => {
    socket.addEventListener('message', hear('1'));
    socket.addEventListener('message', () => socket.addEventListener('message', hear('2')));
  }),
  order('listener: of a signal that has aborted', ['1'], (socket, hear) => {
    const controller = new AbortController();
    socket.addEventListener('message', hear('2'), { signal: controller.signal });
    socket.addEventListener('message', hear('1'));
    controller.abort();
  }),
  order('listener: stopImmediatePropagation', ['1'], (socket, hear) => {
    socket.addEventListener('message', hear('1'));
    socket.addEventListener('message', (event) => event.stopImmediatePropagation());
    socket.addEventListener('message', hear('2'));
  }),
];

const calling: readonly Case[] = [
  {
    name: 'handler: `this`, and what it is given',
    expected: ['socket', 1, 'hello'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'hello' }] });
      return await new Promise((resolve) => {
        socket.onmessage = function (this: unknown, ...given: readonly unknown[]): void {
          const data = Reflect.get(Object(given[0]), 'data') as string;
          resolve([this === socket ? 'socket' : 'something else', given.length, data]);
        };
      });
    },
  },
  {
    name: 'listener: `this` of a function and of handleEvent',
    expected: ['socket', 'listener'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'hello' }] });
      const seen: Json[] = [];
      const listener = {
        handleEvent(this: unknown): void {
          seen.push(this === listener ? 'listener' : 'something else');
        },
      };
      socket.addEventListener('message', function (this: unknown): void {
        seen.push(this === socket ? 'socket' : 'something else');
      });
      socket.addEventListener('message', listener);
      await next(socket, 'message');
      return seen;
    },
  },
  {
    name: 'listener: `once` hears the first of two messages',
    expected: ['a', 'then a', 'then b'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'a' }, { text: 'b' }, { close: [] }] });
      const seen: Json[] = [];
      const data = (event: Event): string => String(Reflect.get(event, 'data'));
      socket.addEventListener('message', (event) => seen.push(data(event)), { once: true });
      socket.addEventListener('message', (event) => seen.push(`then ${data(event)}`));
      await next(socket, 'close');
      return seen;
    },
  },
  {
    name: 'handler: returning false cancels nothing',
    expected: [false, 'heard'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'hello' }] });
      const seen: Json[] = [];
      socket.onmessage = () => false;
      socket.addEventListener('message', (event) => seen.push(event.defaultPrevented, 'heard'));
      await next(socket, 'message');
      return seen;
    },
  },
  {
    name: 'handler: hears an event that code dispatches',
    expected: ['message', false, true],
    run: (stage) => {
      const socket = stage.dial();
      const seen: Json[] = [];
      socket.onmessage = (event: Event) => seen.push(event.type, event.isTrusted);
      seen.push(socket.dispatchEvent(new Event('message')));
      return seen;
    },
  },
  {
    name: 'handler: all four are called',
    expected: ['onopen', 'onmessage', 'onclose', 'onerror', 'onclose'],
    run: async (stage) => {
      const seen: Json[] = [];
      const sockets = [
        () => stage.dial({ steps: [{ text: 'hello' }, { close: [1000] }] }),
        () => stage.again().dial({ status: 403 }),
      ];
      for (const make of sockets) {
        const socket = make();
        for (const name of attributes) socket[name] = () => seen.push(name);
        await ended(socket);
      }
      return seen;
    },
  },
  {
    name: 'exception: of a listener, stops no other, and is reported',
    expected: { seen: ['second', 'handler', 'next'], unhandled: ['first', 'handler'] },
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ text: 'a' }, { text: 'b' }, { close: [] }] });
      const seen: Json[] = [];
      const fail = (): void => {
        throw new Error('first');
      };
      socket.addEventListener('message', fail, { once: true });
      socket.addEventListener('message', () => seen.push('second'), { once: true });
      socket.onmessage = () => {
        socket.onmessage = () => seen.push('next');
        seen.push('handler');
        throw new Error('handler');
      };
      await next(socket, 'close');
      await sleep(10);
      return { seen, unhandled: [...stage.unhandled] };
    },
  },
  {
    name: 'exception: of a listener of `open`, the messages come all the same',
    expected: { heard: 'hello', unhandled: ['open'] },
    run: async (stage) => {
      const socket = stage.dial({ together: true, steps: [{ text: 'hello' }] });
      socket.onopen = () => {
        throw new Error('open');
      };
      const { data } = await next(socket, 'message');
      await sleep(10);
      return { heard: String(data), unhandled: [...stage.unhandled] };
    },
  },
];

export const handlerCases: readonly Case[] = [...setting, ...turns, ...calling];
