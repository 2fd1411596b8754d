import { type RivalName, YARDSTICK } from './rivals.ts';

interface RowBase {
  /** The benchmark's name, a slash, the row's. */
  readonly id: string;
  readonly title: string;
  readonly rivals: readonly RivalName[];
  /** The id of the row that this one is with more to do: what a message costs is set beside it. */
  readonly growsFrom?: string;
  /** What the others are compared with. Default `YARDSTICK`. */
  readonly yardstick?: RivalName;
}

/** A server under load from another process. */
export interface ServerRow extends RowBase {
  readonly kind: 'server';
  readonly mode: 'echo' | 'fan-out' | 'handshake';
  readonly connections: number;
  readonly size: number;
  readonly inFlight: number;
  readonly binary: boolean;
  /** How messages are compressed, all of them, at level 1. Default: not. */
  readonly compressing?: 'no-takeover' | 'takeover';
  /** How many times the warm-up it takes: more where little is done in one. Default 1. */
  readonly warmUps?: number;
  /** Whether all of it goes over TLS. Default false. */
  readonly tls?: boolean;
}

/** A server's memory with idle connections. */
export interface IdleRow extends RowBase {
  readonly kind: 'idle';
  readonly connections: number;
  readonly tls?: boolean;
}

/** A client of Aperto's echo server. */
export interface ClientRow extends RowBase {
  readonly kind: 'client';
  readonly size: number;
  readonly inFlight: number;
}

/** One connection in memory, without sockets. */
export interface MemoryRow extends RowBase {
  readonly kind: 'memory';
  readonly work: 'parse' | 'write';
  readonly size: number;
}

/** `server.publish` in memory, without sockets. */
export interface PublishRow extends RowBase {
  readonly kind: 'publish';
  /** Of the topic, in the same process. */
  readonly subscribers: 0 | 1;
  /** Messages published in each tick. */
  readonly inTick: number;
  readonly size: number;
}

/** Servers that share their topics over an engine. */
export interface ScaleOutRow extends RowBase {
  readonly kind: 'scale-out';
  readonly servers: number;
  /** Of each server. */
  readonly subscribers: number;
  /** On how many of the servers somebody publishes. */
  readonly publishers: number;
  /** Messages of each publisher on their way. */
  readonly inFlight: number;
  readonly size: number;
  /** How many times the warm-up it takes. */
  readonly warmUps: number;
}

export type Row = ServerRow | IdleRow | ClientRow | MemoryRow | PublishRow | ScaleOutRow;

const fromMemory: readonly RivalName[] = ['aperto', 'ws', 'websocket', 'faye-websocket'];
const everyone: readonly RivalName[] = ['aperto', 'ws', 'bun', 'websocket', 'faye-websocket'];
/** Where messages are large enough that native code to unmask them shows. */
const withNative = (rivals: readonly RivalName[]): readonly RivalName[] =>
  rivals.flatMap((name) => (name === 'ws' ? [name, 'ws+bufferutil'] : [name]));

const KIB = 1024;

function echo(
  name: string,
  title: string,
  rivals: readonly RivalName[],
  load: Pick<ServerRow, 'connections' | 'size' | 'inFlight'> & Partial<ServerRow>,
): ServerRow {
  return {
    kind: 'server',
    mode: 'echo',
    binary: false,
    id: `echo/${name}`,
    title,
    rivals,
    ...load,
  };
}

function fanOut(
  name: string,
  rivals: readonly RivalName[],
  connections: number,
  inFlight: number,
  growth: Pick<RowBase, 'growsFrom'> = {},
): ServerRow {
  const title = `text, ${count(connections)} subscribers, 100 B, ${inFlight} in flight`;
  const load = { connections, inFlight, size: 100, binary: false };
  const id = `fan-out/${name}`;
  return { kind: 'server', mode: 'fan-out', id, title, rivals, ...load, ...growth };
}

function compressed(
  mode: ServerRow['mode'],
  compressing: 'no-takeover' | 'takeover',
  connections: number,
  size: number,
): ServerRow {
  const how = compressing === 'takeover' ? 'takeover' : 'no takeover';
  const whom = mode === 'echo' ? 'connections' : 'subscribers';
  return {
    kind: 'server',
    mode,
    id: `compression/${mode}-${compressing}`,
    title: `JSON, ${mode}, ${count(connections)} ${whom}, ${size} B, ${how}`,
    rivals: ['aperto', 'ws', 'bun'],
    connections,
    size,
    inFlight: 1,
    binary: false,
    compressing,
  };
}

/** WebSockets that are streams of one connection of HTTP/2, beside as many connections of HTTP/1.1. */
function overHttp2(tls: boolean, inFlight: number): ServerRow {
  const { name, ...common } = ofHttp2(tls);
  // A thousand handshakes of TLS are behind the server, and hardly a message: that code is still to be compiled.
  const warmUps = 4;
  const load = { ...small, connections: SOCKETS, inFlight, warmUps };
  const what = `${count(SOCKETS)} sockets, 20 B, ${inFlight} in flight`;
  const title = `${name}, text, ${what} (${warmUps} times the warm-up)`;
  const id = `${common.id}-${inFlight}-in-flight`;
  return { ...common, kind: 'server', mode: 'echo', binary: false, ...load, id, title };
}

function idleOverHttp2(tls: boolean): IdleRow {
  const { name, ...common } = ofHttp2(tls);
  const title = `${name}, memory a socket, ${count(SOCKETS)} idle`;
  return { ...common, kind: 'idle', connections: SOCKETS, id: `${common.id}-idle`, title };
}

function ofHttp2(tls: boolean) {
  const both: readonly RivalName[] = ['aperto:http/1.1', 'aperto:h2'];
  return {
    id: tls ? 'http2/tls' : 'http2/cleartext',
    name: tls ? 'TLS' : 'cleartext',
    // What it does without TLS stands in the rows of echo and idle.
    rivals: tls ? [...both, 'ws' as const] : both,
    yardstick: 'aperto:http/1.1' as const,
    tls,
  };
}

function inMemory(work: MemoryRow['work'], name: string, size: number, about: string): MemoryRow {
  const rivals = work === 'parse' ? withNative(fromMemory) : fromMemory;
  const title = `text, ${about}, ${work === 'parse' ? 'from' : 'to'} memory`;
  return { kind: 'memory', id: `${work}/${name}`, title, rivals, work, size };
}

function count(number: number): string {
  return number.toLocaleString('en');
}

const small = { connections: 100, size: 20, inFlight: 1 };
/** That many are open in the rows of HTTP/2. */
const SOCKETS = 1_000;
/** That many share topics over an engine in the rows of scale-out. */
const SERVERS = 3;
const growsFromSmall = { growsFrom: 'echo/20-B' };
const growsFromThousand = { growsFrom: 'fan-out/1-in-flight' };

/** All that is measured, in this order. */
export const allRows: readonly Row[] = [
  inMemory('parse', '20-B', 20, '20 B, many in a chunk'),
  inMemory('parse', '1-KiB', KIB, '1 KiB'),
  inMemory('parse', '64-KiB', 64 * KIB, '64 KiB'),
  inMemory('write', '20-B', 20, '20 B, 16 in a tick'),
  inMemory('write', '1-KiB', KIB, '1 KiB, 16 in a tick'),
  echo('20-B', 'text, 100 connections, 20 B, 1 in flight', everyone, small),
  echo('20-B-16-in-flight', 'text, 100 connections, 20 B, 16 in flight', everyone, {
    ...small,
    inFlight: 16,
  }),
  echo('4-KiB', 'text, 50 connections, 4 KiB, 1 in flight', withNative(everyone), {
    connections: 50,
    size: 4 * KIB,
    inFlight: 1,
  }),
  echo('64-KiB', 'text, 10 connections, 64 KiB, 1 in flight', withNative(everyone), {
    connections: 10,
    size: 64 * KIB,
    inFlight: 1,
  }),
  echo('1-MiB', 'binary, 4 connections, 1 MiB, 1 in flight', withNative(everyone), {
    connections: 4,
    size: KIB * KIB,
    inFlight: 1,
    binary: true,
  }),
  echo('1000-connections', 'text, 1,000 connections, 20 B, 1 in flight', ['aperto', 'ws', 'bun'], {
    ...small,
    connections: 1_000,
    ...growsFromSmall,
  }),
  echo('5000-connections', 'text, 5,000 connections, 20 B, 1 in flight', ['aperto', 'ws', 'bun'], {
    ...small,
    connections: 5_000,
    ...growsFromSmall,
  }),
  fanOut('1-in-flight', everyone, 1_000, 1),
  fanOut('8-in-flight', everyone, 1_000, 8),
  fanOut('10-subscribers', ['aperto'], 10, 1, growsFromThousand),
  fanOut('100-subscribers', ['aperto'], 100, 1, growsFromThousand),
  fanOut('10000-subscribers', ['aperto'], 10_000, 1, growsFromThousand),
  compressed('echo', 'no-takeover', 50, 512),
  compressed('echo', 'takeover', 50, 512),
  compressed('fan-out', 'no-takeover', 1_000, KIB),
  {
    kind: 'idle',
    id: 'idle/10000-connections',
    title: 'memory a connection, 10,000 idle',
    rivals: everyone,
    connections: 10_000,
  },
  client('1-in-flight', 1),
  client('64-in-flight', 64),
  {
    kind: 'server',
    mode: 'handshake',
    id: 'handshake/50-connections',
    title: 'handshakes, 50 connections opened and closed over and over (15 times the warm-up)',
    rivals: everyone,
    connections: 50,
    size: 0,
    inFlight: 1,
    binary: false,
    // A handshake runs more code, and that less often, than a message: it takes long to be compiled.
    warmUps: 15,
  },
  overHttp2(true, 1),
  overHttp2(true, 8),
  idleOverHttp2(true),
  overHttp2(false, 1),
  overHttp2(false, 8),
  idleOverHttp2(false),
  publish('nobody', 'to a topic without subscribers', 0, 16),
  publish('1-subscriber', 'to a topic with one subscriber, 1 in a tick', 1, 1),
  publish('1-subscriber-16-in-a-tick', 'to a topic with one subscriber, 16 in a tick', 1, 16),
  scaleOut('10-subscribers', 10, 1, 1),
  scaleOut('1-in-flight', 1_000, 1, 1),
  scaleOut('8-in-flight', 1_000, 1, 8),
  scaleOut('8-in-flight-from-all', 1_000, SERVERS, 8),
];

function client(name: string, inFlight: number): ClientRow {
  return {
    kind: 'client',
    id: `client/${name}`,
    title: `text, 1 connection, 20 B, ${inFlight} in flight`,
    rivals: ['aperto', 'aperto:WebSocket', ...everyone.slice(1)],
    size: 20,
    inFlight,
  };
}

function publish(
  name: string,
  where: string,
  subscribers: PublishRow['subscribers'],
  inTick: number,
): PublishRow {
  return {
    kind: 'publish',
    id: `publish/${name}`,
    title: `text, 100 B, ${where}`,
    rivals: ['aperto', 'aperto:broker'],
    yardstick: 'aperto',
    subscribers,
    inTick,
    size: 100,
  };
}

function scaleOut(
  name: string,
  subscribers: number,
  publishers: number,
  inFlight: number,
): ScaleOutRow {
  // Three processes share the time to warm up in; with few subscribers little is done in it.
  const warmUps = subscribers < 100 ? 15 : 5;
  const from = publishers === 1 ? 'one server' : 'each server';
  const whom = `${SERVERS} servers of ${count(subscribers)} subscribers`;
  return {
    kind: 'scale-out',
    id: `scale-out/${name}`,
    title: `text, ${whom}, 100 B, ${inFlight} in flight from ${from}`,
    rivals: [
      ...(['aperto', 'aperto+redis', 'aperto+nats'] as const),
      ...(['socket.io+redis', 'socket.io+redis-sharded'] as const),
    ],
    yardstick: 'socket.io+redis',
    servers: SERVERS,
    subscribers,
    publishers,
    inFlight,
    size: 100,
    warmUps,
  };
}

export function yardstickOf({ yardstick = YARDSTICK }: Pick<RowBase, 'yardstick'>): RivalName {
  return yardstick;
}

export function benchmarkOf(row: { readonly id: string }): string {
  return row.id.slice(0, row.id.indexOf('/'));
}
