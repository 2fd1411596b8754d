import type { Behaviour } from '../conformance-behaviour.ts';
import { type Case, history, type Json, next, type Stage, sleep } from '../conformance-case.ts';

/** A field of the opening request. */
function field(name: string): (stage: Stage) => Promise<Json> {
  return async (stage) => {
    (await stage.open()).close();
    const { fields } = await stage.record();
    return fields[name] ?? null;
  };
}

const request: readonly Case[] = [
  {
    name: 'request: asks for a WebSocket of version 13',
    expected: { upgrade: 'websocket', version: '13', key: 24 },
    run: async (stage) => {
      (await stage.open()).close();
      const { fields } = await stage.record();
      return {
        upgrade: fields['upgrade'] ?? null,
        version: fields['sec-websocket-version'] ?? null,
        key: fields['sec-websocket-key']?.length ?? null,
      };
    },
  },
  {
    name: 'request: offers permessage-deflate',
    expected: true,
    run: async (stage) =>
      String(await field('sec-websocket-extensions')(stage)).startsWith('permessage-deflate'),
  },
  {
    name: 'request: has the host and the port',
    expected: true,
    run: async (stage) => (await field('host')(stage)) === stage.host,
  },
  {
    name: 'request: has the path and the query of the URL, without fragment and credentials',
    expected: ['/a%20b', true],
    run: async (stage) => {
      const address = stage.address().replace('/?', '/a b?');
      const socket = stage.construct(address);
      await next(socket, 'open');
      socket.close();
      const { target } = await stage.record();
      return [target, socket.url.startsWith(`ws://${stage.host}/a%20b?`)];
    },
  },
  { name: 'request: has no Referer', expected: null, run: field('referer') },
  {
    name: 'request: has the origin',
    expected: true,
    run: async (stage) => (await field('origin')(stage)) !== null,
  },
  {
    name: 'request: is not to be cached',
    expected: 'no-cache',
    run: field('cache-control'),
  },
  {
    name: 'request: sends no credentials of the URL that nobody asked for',
    expected: null,
    run: async (stage) => {
      const socket = stage.construct(stage.address().replace('//', '//user:password@'));
      await next(socket, 'open');
      socket.close();
      return (await stage.record()).fields['authorization'] ?? null;
    },
  },
  {
    name: 'request: sends the cookie that an answer before has set',
    expected: true,
    run: async (stage) => {
      (await stage.open({ fields: { 'set-cookie': 'conformance=yes' } })).close();
      await stage.record();
      const again = stage.again();
      (await again.open()).close();
      const { fields } = await again.record();
      return (fields['cookie'] ?? '').includes('conformance=yes');
    },
  },
];

/** The events of an attempt. */
function attempt(
  behaviour: Omit<Behaviour, 'id'>,
  ...protocols: readonly unknown[]
): (stage: Stage) => Promise<Json> {
  return (stage) => {
    const socket = stage.dial(behaviour, ...protocols);
    socket.addEventListener('open', () => socket.close());
    return history(socket);
  };
}

const failed: Json = ['error', ['close', 1006, '', false]];
const fine: Json = ['open', ['close', 1005, '', true]];

const answers: readonly Case[] = [
  { name: 'answer: 101', expected: fine, run: attempt({}) },
  { name: 'answer: 200', expected: failed, run: attempt({ status: 200 }) },
  {
    name: 'answer: a redirect is not followed',
    expected: failed,
    run: (stage) => attempt({ status: 302, fields: { location: stage.again().address() } })(stage),
  },
  {
    name: 'answer: 401',
    expected: failed,
    run: attempt({ status: 401, fields: { 'www-authenticate': 'Bearer' } }),
  },
  { name: 'answer: 403', expected: failed, run: attempt({ status: 403 }) },
  {
    name: 'answer: a wrong Sec-WebSocket-Accept',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-accept': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' } }),
  },
  {
    name: 'answer: no Sec-WebSocket-Accept',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-accept': null } }),
  },
  { name: 'answer: no Upgrade', expected: failed, run: attempt({ fields: { upgrade: null } }) },
  {
    name: 'answer: no Connection',
    expected: failed,
    run: attempt({ fields: { connection: null } }),
  },
  {
    name: 'answer: Upgrade and Connection in another case',
    expected: fine,
    run: attempt({ fields: { upgrade: 'WebSocket', connection: 'UPGRADE' } }),
  },
  {
    name: 'answer: Upgrade is one of several options of Connection',
    expected: fine,
    run: attempt({ fields: { connection: 'keep-alive, Upgrade' } }),
  },
  {
    name: 'answer: an extension that was not offered',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-extensions': 'x-unknown' } }),
  },
  {
    name: 'answer: a parameter that permessage-deflate does not know',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-extensions': 'permessage-deflate; unknown' } }),
  },
  {
    name: 'answer: a subprotocol that was not asked for',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': 'chat' } }),
  },
  {
    name: 'answer: another subprotocol than those asked for',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': 'other' } }, ['chat', 'superchat']),
  },
  {
    name: 'answer: the subprotocol in another case',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': 'Chat' } }, 'chat'),
  },
  {
    name: 'answer: no subprotocol although one was asked for',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': null } }, 'chat'),
  },
  {
    name: 'answer: an empty subprotocol',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': '' } }, 'chat'),
  },
  {
    name: 'answer: two subprotocols',
    expected: failed,
    run: attempt({ fields: { 'sec-websocket-protocol': 'chat, superchat' } }, [
      'chat',
      'superchat',
    ]),
  },
];

/** An answer that is right for each offer: one that asks for this gets it, and another may get it, too. */
const DEFLATE = 'permessage-deflate; server_no_context_takeover';

async function agreed(
  stage: Stage,
  behaviour: Omit<Behaviour, 'id'>,
  ...protocols: readonly unknown[]
): Promise<Json> {
  const { protocol, extensions } = await stage.open(behaviour, ...protocols);
  return { protocol, extensions };
}

const agreement: readonly Case[] = [
  {
    name: 'agreed: nothing',
    expected: { protocol: '', extensions: '' },
    run: (stage) => agreed(stage, {}),
  },
  {
    name: 'agreed: the subprotocol that the server chose',
    expected: { protocol: 'b', extensions: '' },
    run: (stage) => agreed(stage, { fields: { 'sec-websocket-protocol': 'b' } }, ['a', 'b']),
  },
  {
    name: 'agreed: permessage-deflate with a parameter',
    expected: { protocol: '', extensions: DEFLATE },
    run: (stage) => agreed(stage, { fields: { 'sec-websocket-extensions': DEFLATE } }),
  },
  {
    name: 'agreed: not before `open`, and for good',
    expected: [
      [0, '', ''],
      [1, 'chat', DEFLATE],
      [3, 'chat', DEFLATE],
    ],
    run: async (stage) => {
      const fields = {
        'sec-websocket-protocol': 'chat',
        'sec-websocket-extensions': DEFLATE,
      };
      const socket = stage.dial({ delayed: true, fields }, 'chat');
      const states: Json[] = [];
      const note = (): void => {
        states.push([socket.readyState, socket.protocol, socket.extensions]);
      };
      await sleep(20);
      note();
      await Promise.all([next(socket, 'open'), stage.release()]);
      note();
      socket.close();
      await next(socket, 'close');
      note();
      return states;
    },
  },
];

export const handshakeCases: readonly Case[] = [...request, ...answers, ...agreement];
