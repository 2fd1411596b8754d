import type { HeaderFields } from './header-fields.ts';
import { asciiLowerCase, trimOws } from './header-syntax.ts';

/** Where a request comes from. */
export interface RequestSource {
  /** The client's IP address; undefined where there is none, as with a Unix socket. */
  readonly address: string | undefined;
  /** Whether the client spoke TLS. */
  readonly encrypted: boolean;
}

/** What an address in X-Forwarded-For is. */
export type JudgeAddress = (address: string) => 'proxy' | 'client' | 'invalid';

/**
 * Who asks, where trusted proxies stand in between: what they say in X-Forwarded-For and X-Forwarded-Proto.
 *
 * Each proxy appends the address that it was asked from, and whoever asked the first one may have written anything to
 * the left of that. So the list is read from the right, and no further than the first address that is no proxy's.
 *
 * @param direct who has connected to us.
 */
export function forwardedSource(
  fields: HeaderFields,
  direct: RequestSource,
  judge: JudgeAddress,
): RequestSource {
  if (direct.address === undefined || judge(direct.address) !== 'proxy') return direct;
  const hops = itemsOf(fields, 'x-forwarded-for');
  let { address } = direct;
  let proxies = 0;
  for (const hop of hops.reverse()) {
    const named = withoutPort(hop);
    const kind = judge(named);
    if (kind === 'invalid') break;
    address = named;
    proxies += 1;
    if (kind === 'client') break;
  }
  return {
    address,
    encrypted: forwardedEncryption(fields, Math.max(proxies, 1)) ?? direct.encrypted,
  };
}

/** What the outermost proxy said; undefined where none did. One that stands alone is the outermost's, passed on. */
function forwardedEncryption(fields: HeaderFields, proxies: number): boolean | undefined {
  const schemes = itemsOf(fields, 'x-forwarded-proto');
  const scheme = schemes.length === 1 ? schemes[0] : schemes.at(-proxies);
  if (scheme === undefined) return undefined;
  const name = asciiLowerCase(scheme);
  return name === 'https' || name === 'wss';
}

function itemsOf(fields: HeaderFields, name: string): string[] {
  return fields
    .values(name)
    .flatMap((line) => line.split(','))
    .map((item) => trimOws(item))
    .filter((item) => item !== '');
}

/** `[2001:db8::1]:4711` and `192.0.2.1:4711` without their ports, which some proxies add. */
function withoutPort(hop: string): string {
  const bracket = hop.indexOf(']');
  if (hop.startsWith('[') && bracket !== -1) return hop.slice(1, bracket);
  const colon = hop.indexOf(':');
  // More than one colon: an IPv6 address.
  return colon === -1 || colon !== hop.lastIndexOf(':') ? hop : hop.slice(0, colon);
}
