import type { RedisAddress, RedisNode, RedisReply } from './redis-driver.ts';

/**
 * Reads the reply to CLUSTER SLOTS: [first, last, [host, port, id, ...], replicas...] for each range.
 * @param asked the host of the node that answered, which stands for a host that it does not know.
 * @param map what the application has said of addresses that it reaches otherwise.
 */
export function parseClusterSlots(
  reply: RedisReply,
  asked: string,
  map: (address: RedisAddress) => RedisAddress,
): readonly RedisNode[] {
  const nodes = new Map<string, RedisAddress & { slots: [number, number][] }>();
  for (const range of array(reply)) {
    const [first, last, master] = array(range);
    const [name, port] = array(master);
    if (typeof first !== 'number' || typeof last !== 'number' || typeof port !== 'number') {
      throw new Error('CLUSTER SLOTS was answered with what cannot be read');
    }
    const host = name instanceof Uint8Array ? Buffer.from(name).toString() : '';
    const address = map({ host: host === '' || host === '?' ? asked : host, port });
    const key = `${address.host}:${address.port}`;
    const node = nodes.get(key);
    if (node === undefined) nodes.set(key, { ...address, slots: [[first, last]] });
    else node.slots.push([first, last]);
  }
  return [...nodes.values()];
}

function array(reply: RedisReply | undefined): readonly RedisReply[] {
  if (!Array.isArray(reply)) throw new Error('CLUSTER SLOTS was answered with what cannot be read');
  return reply;
}
