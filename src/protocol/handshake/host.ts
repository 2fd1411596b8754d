import { apertoError } from '../errors.ts';
import { asciiLowerCase, codeTable, nameCodes } from './header-syntax.ts';

/** A host and perhaps a port: what a Host header has, and the end of an origin. */
export interface Host {
  /** In lower case; an IPv6 address with its brackets. */
  readonly name: string;
  /** Undefined where none is given. */
  readonly port: number | undefined;
}

const hexCodes = codeTable('0123456789ABCDEFabcdef');
const addressCodes = codeTable('0123456789ABCDEFabcdef:.');

// RFC 3986 3.2.2: reg-name, which an IPv4 address is as well; empty is no host for us.
function nameEnd(text: string): number {
  let at = 0;
  for (;;) {
    if (nameCodes[text.charCodeAt(at)] === 1) at++;
    else if (text[at] === '%' && isHex(text, at + 1) && isHex(text, at + 2)) at += 3;
    else return at;
  }
}

function isHex(text: string, at: number): boolean {
  return hexCodes[text.charCodeAt(at)] === 1;
}

// RFC 3986 3.2.2: IP-literal. 0 where the brackets do not enclose what an IPv6 address is made of.
function addressEnd(text: string): number {
  let at = 1;
  while (addressCodes[text.charCodeAt(at)] === 1) at++;
  return at > 1 && text[at] === ']' ? at + 1 : 0;
}

/** Reads `host [":" port]` (RFC 9110 7.2); undefined where it is none. */
export function parseHost(text: string): Host | undefined {
  const end = text.startsWith('[') ? addressEnd(text) : nameEnd(text);
  if (end === 0) return undefined;
  const name = asciiLowerCase(text.slice(0, end));
  if (end === text.length) return { name, port: undefined };
  if (text[end] !== ':') return undefined;
  let port = 0;
  for (let at = end + 1; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
    if (port > 0xffff) return undefined;
  }
  // RFC 3986 3.2.3: a colon without digits means the default port.
  return { name, port: end + 1 === text.length ? undefined : port };
}

/**
 * The list of hosts that a server answers for, in the form that `hostAllowed` compares. An entry
 * without a port holds for every port.
 * @throws {ApertoError} INVALID_OPTION for an entry that is not `host` or `host:port`.
 */
export function normaliseHosts(hosts: readonly string[]): readonly string[] {
  if (!Array.isArray(hosts)) {
    throw apertoError('INVALID_OPTION', { detail: 'hosts is a list of host names' });
  }
  return hosts.map((entry: unknown) => {
    const host = typeof entry === 'string' ? parseHost(entry) : undefined;
    if (host === undefined) {
      throw apertoError('INVALID_OPTION', {
        detail: `hosts has ${JSON.stringify(entry)}, which is not host or host:port`,
      });
    }
    return host.port === undefined ? host.name : `${host.name}:${host.port}`;
  });
}

/** Whether a host is among `hosts`, as `normaliseHosts` made them, with its port or without. */
export function hostAllowed(host: Host, hosts: readonly string[], encrypted: boolean): boolean {
  const port = host.port ?? (encrypted ? 443 : 80);
  return hosts.includes(host.name) || hosts.includes(`${host.name}:${port}`);
}
