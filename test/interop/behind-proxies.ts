import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  type ClientPeer,
  type CloseInfo,
  type ConnectOptions,
  connect,
  type Message,
  type Peer,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import type { FrontProgram, LoadBalancer } from './load-balancers.ts';
import { trust } from './transports.ts';

export const LARGE: number = 4 * 1024 * 1024;
export const PROXY = '127.0.0.1';

export interface Arrivals {
  readonly opened: Mailbox<Peer>;
  readonly pongs: Mailbox<string>;
  readonly errors: unknown[];
}

export async function startServer(
  options: Partial<ServeOptions<undefined>> = {},
): Promise<{ server: Server; arrivals: Arrivals }> {
  const arrivals: Arrivals = { opened: new Mailbox(), pongs: new Mailbox(), errors: [] };
  const echo = {
    protocols: ['superchat', 'chat'],
    open: (peer: Peer) => arrivals.opened.put(peer),
    message: (peer: Peer, message: Message) => void peer.send(message),
    pong: (_: Peer, payload: Uint8Array) => arrivals.pongs.put(String(Buffer.from(payload))),
  };
  const server = await serve({
    trustedProxies: [PROXY],
    compression: true,
    limits: { maxMessageBytes: LARGE, maxInflationRatio: Number.POSITIVE_INFINITY },
    onError: (error) => arrivals.errors.push(error),
    request: (_, response) => void response.end(`${server.port}`),
    routes: {
      '/': echo,
      '/silent': { ...echo, limits: { pingAfterMs: Infinity } },
      '/pinging': { ...echo, limits: { pingAfterMs: 200 } },
    },
    ...options,
  });
  return { server, arrivals };
}

/** Stops it; nothing may have gone wrong. */
export async function stop(server: Server, { errors }: Arrivals): Promise<void> {
  await within('the end of the server', server.close({ timeoutMs: 200 }));
  assert.deepEqual(errors, []);
}

export const start = (
  program: FrontProgram,
  port: number,
  instead?: Readonly<Record<string, string>>,
): Promise<LoadBalancer> => program.start(new Array(program.servers).fill(port), instead);

/** The proxy's two ports. */
export const waysTo = ({ plainPort, tlsPort }: LoadBalancer) =>
  [
    { tls: false, url: `ws://127.0.0.1:${plainPort}`, origin: `http://127.0.0.1:${plainPort}` },
    { tls: true, url: `wss://127.0.0.1:${tlsPort}`, origin: `https://127.0.0.1:${tlsPort}` },
  ] as const;

export interface Dialled {
  readonly peer: ClientPeer;
  readonly messages: Mailbox<Message>;
}

export async function dialThrough(
  t: TestContext,
  url: string,
  options: ConnectOptions = {},
): Promise<Dialled> {
  const messages = new Mailbox<Message>();
  const dialled = connect(url, {
    ...(url.startsWith('wss:') && options.agent === undefined ? await trust('tls') : {}),
    message: (_, message) => messages.put(message),
    ...options,
    limits: {
      maxMessageBytes: LARGE,
      maxInflationRatio: Number.POSITIVE_INFINITY,
      pingAfterMs: Infinity,
      ...options.limits,
    },
  });
  const peer = await within(`a connection to ${url}`, dialled);
  t.after(() => peer.terminate());
  return { peer, messages };
}

export async function checkEcho({ peer, messages }: Dialled, message: Message): Promise<void> {
  peer.send(message);
  assert.deepEqual(await messages.next(), message);
}

/** Both ends of a connection have ended without a close frame. */
export async function checkCut(...peers: readonly { readonly closed: Promise<CloseInfo> }[]) {
  for (const peer of peers) {
    // Apache takes twice the time that it is told.
    const { code } = await within('the end of a connection', peer.closed, 30_000);
    assert.equal(code, 1006);
  }
}
