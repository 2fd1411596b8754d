import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { apertoError } from '../../protocol/errors.ts';
import type { TcpEndpoint } from './open-socket.ts';
import { type HttpProxy, parseProxy } from './proxy.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is set, and not to nothing. */
interface Variable {
  readonly name: string;
  readonly value: string;
}

/**
 * The proxy that the environment names for a target: `ws_proxy` or `wss_proxy`, else `http_proxy` or
 * `https_proxy`, else `all_proxy`, unless `no_proxy` has the target. Each in lower case before upper case.
 * @throws {ApertoError} INVALID_OPTION for a value that cannot be used, with the variable's name.
 */
export function environmentProxy(
  target: TcpEndpoint,
  env: Environment = process.env,
): HttpProxy | undefined {
  // On Windows `process.env` has each name in every case; a copy has them as they are.
  const all = { ...env };
  const names = target.encrypted
    ? ['wss_proxy', 'https_proxy', 'all_proxy']
    : ['ws_proxy', 'http_proxy', 'all_proxy'];
  const proxy = firstOf(all, names);
  if (proxy === undefined || isExempt(target, firstOf(all, ['no_proxy']))) return undefined;
  // As others do: a proxy without a scheme is one of HTTP.
  const { name, value } = proxy;
  return parseProxy(name, value.includes('://') ? value : `http://${value}`);
}

function firstOf(env: Environment, names: readonly string[]): Variable | undefined {
  for (const lower of names) {
    for (const name of [lower, lower.toUpperCase()]) {
      // In a CGI program that is a header of the client's, `Proxy`, and no setting: CVE-2016-5385 and others.
      if (name === 'HTTP_PROXY' && env['REQUEST_METHOD'] !== undefined) continue;
      const value = env[name]?.trim() ?? '';
      if (value !== '') return { name, value };
    }
  }
  return undefined;
}

function isExempt(target: TcpEndpoint, exemptions: Variable | undefined): boolean {
  if (exemptions === undefined) return false;
  const entries = exemptions.value.split(/[\s,]+/).filter((entry) => entry !== '');
  // All are read, so that one that cannot be is told whatever the target is.
  return entries.map((entry) => matches(entry, target, exemptions.name)).includes(true);
}

function matches(entry: string, { host, port }: TcpEndpoint, variable: string): boolean {
  if (entry === '*') return true;
  const [name, wantedPort] = splitPort(entry);
  const matching = addressesOf(name) ?? domainOf(name);
  if (matching === undefined) {
    const shown = JSON.stringify(entry);
    const detail = `${variable} has ${shown}, which is no host, no IP address and no range of them`;
    throw apertoError('INVALID_OPTION', { detail });
  }
  return matching(host) && (wantedPort === undefined || wantedPort === port);
}

/** Of `name:port` and `[address]:port`, both; the name alone where there is no port. */
function splitPort(entry: string): [name: string, port: number | undefined] {
  const parts = /^(?:\[([\d:.a-f]+)\]|([^:]+))(?::(\d+))?$/i.exec(entry);
  // IPv6 without brackets.
  if (parts === null) return [entry, undefined];
  const [, address, name = address, port] = parts;
  return [name ?? entry, port === undefined ? undefined : Number(port)];
}

/** Whether a host is in `address` or `address/bits`; undefined where the name is neither. */
function addressesOf(name: string): ((host: string) => boolean) | undefined {
  const slash = name.indexOf('/');
  const address = slash < 0 ? name : name.slice(0, slash);
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const bits = slash < 0 ? `${most}` : name.slice(slash + 1);
  if (version === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) return undefined;
  const range = new BlockList();
  range.addSubnet(address, Number(bits), version === 4 ? 'ipv4' : 'ipv6');
  return (host) => isIP(host) !== 0 && range.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
}

/** Whether a host is a domain or below it: `example.com`, `.example.com` and `*.example.com` are the same. */
function domainOf(name: string): ((host: string) => boolean) | undefined {
  const domain = domainToASCII(name.replace(/^\*?\./, '').replace(/\.$/, ''));
  // What is no domain `domainToASCII` gives back as nothing, but cuts off what looks like a path.
  if (domain === '' || /[/?#\\:]/.test(name)) return undefined;
  return (host) => isIP(host) === 0 && `.${host.replace(/\.$/, '')}`.endsWith(`.${domain}`);
}
