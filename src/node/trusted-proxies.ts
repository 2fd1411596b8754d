import { BlockList, isIP } from 'node:net';
import { apertoError } from '../protocol/errors.ts';
import {
  forwardedSource,
  type JudgeAddress,
  type RequestSource,
} from '../protocol/handshake/forwarded.ts';
import type { HeaderFields } from '../protocol/handshake/header-fields.ts';

/**
 * Tells the proxies in a list of addresses and networks (`10.0.0.0/8`) from others; undefined where there are none.
 * @throws {ApertoError} INVALID_OPTION
 */
export function trustedProxies(list: readonly string[] = []): JudgeAddress | undefined {
  if (!Array.isArray(list)) throw invalid(list);
  if (list.length === 0) return undefined;
  const proxies = new BlockList();
  for (const entry of list as readonly unknown[]) add(proxies, entry);
  return (address) => {
    const family = familyOf(address);
    if (family === undefined) return 'invalid';
    // The list looks at IPv4 addresses in IPv6 form as the former, too.
    return proxies.check(address, family) ? 'proxy' : 'client';
  };
}

function add(proxies: BlockList, entry: unknown): void {
  if (typeof entry !== 'string') throw invalid(entry);
  const [address = '', prefix, ...rest] = entry.split('/');
  const family = familyOf(address);
  if (family === undefined || rest.length > 0) throw invalid(entry);
  if (prefix === undefined) proxies.addAddress(address, family);
  else if (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 'ipv4' ? 32 : 128)) {
    proxies.addSubnet(address, Number(prefix), family);
  } else throw invalid(entry);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}

/** Where a request comes from, by the connection and, where that is a trusted proxy's, by what it says. */
export function sourceOf(
  fields: HeaderFields,
  remoteAddress: string | undefined,
  encrypted: boolean,
  judge: JudgeAddress | undefined,
): RequestSource {
  const direct = { address: remoteAddress, encrypted };
  return judge === undefined ? direct : forwardedSource(fields, direct, judge);
}

function invalid(entry: unknown): Error {
  const detail = `trustedProxies is a list of IP addresses and networks such as 10.0.0.0/8, not ${String(entry)}`;
  return apertoError('INVALID_OPTION', { detail });
}
