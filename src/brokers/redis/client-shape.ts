import type { RedisAddress, RedisArgument } from './redis-driver.ts';

/** What clients of different packages have in common. */

export type Listener = (...args: unknown[]) => void;

export interface Emitter {
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
}

export function hasMethods(client: unknown, names: readonly string[]): client is object {
  if (typeof client !== 'object' || client === null) return false;
  return names.every((name) => typeof Reflect.get(client, name) === 'function');
}

/** Calls back at each event, with what is passed to `error` and its like. */
export function listenTo(
  emitter: Emitter,
  events: readonly string[],
  onChange: (error?: unknown) => void,
): () => void {
  const listener: Listener = (value) => onChange(value instanceof Error ? value : undefined);
  for (const event of events) emitter.on(event, listener);
  return () => {
    for (const event of events) emitter.off(event, listener);
  };
}

/** What a client's table or function of addresses says of one. */
export function mappedAddress(map: unknown, address: RedisAddress): RedisAddress {
  const key = `${address.host}:${address.port}`;
  let found: unknown;
  if (typeof map === 'function') found = map(key);
  else if (typeof map === 'object' && map !== null) found = Reflect.get(map, key);
  if (typeof found !== 'object' || found === null) return address;
  return 'host' in found &&
    typeof found.host === 'string' &&
    'port' in found &&
    typeof found.port === 'number'
    ? { host: found.host, port: found.port }
    : address;
}

/** As both take it; nothing is copied. */
export function encoded(argument: RedisArgument): string | Buffer {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}
