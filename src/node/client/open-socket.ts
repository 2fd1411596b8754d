import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { type ConnectionOptions, createSecureContext, connect as tlsConnect } from 'node:tls';
import type { ApertoError } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';

/** A host and port, or a Unix socket. */
export type Endpoint = TcpEndpoint | UnixEndpoint;

export interface TcpEndpoint {
  readonly encrypted: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly socketPath: undefined;
}

interface UnixEndpoint {
  readonly encrypted: false;
  readonly host: undefined;
  readonly port: undefined;
  readonly socketPath: string;
}

/**
 * How a TCP connection is made: to the server, or to the proxy where there is one. An `agent` is handed them;
 * those of Node keep to them.
 */
export interface AddressOptions {
  /** Resolves names, as `dns.lookup` does. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction;
  /** The address of ours to connect from. Default: the system chooses. */
  readonly localAddress?: string;
  /** The IP version of the addresses that names are resolved to. Default: that of `localAddress`, else 0, both. */
  readonly family?: 0 | 4 | 6;
}

/** @throws {ApertoError} INVALID_OPTION */
export function checkAddressOptions(options: AddressOptions): AddressOptions {
  const { lookup, localAddress, family } = options;
  const invalid = (detail: string): Error => apertoError('INVALID_OPTION', { detail });
  if (lookup !== undefined && typeof lookup !== 'function') throw invalid('lookup is a function');
  if (localAddress !== undefined && isIP(localAddress) === 0) {
    throw invalid(`localAddress is an IP address, not ${JSON.stringify(localAddress)}`);
  }
  if (family !== undefined && family !== 0 && family !== 4 && family !== 6) {
    throw invalid(`family is 0, 4 or 6, not ${String(family)}`);
  }
  // A name must not be resolved to an address that cannot be reached from ours.
  const wanted = family || (localAddress !== undefined && isIP(localAddress));
  return {
    ...(lookup !== undefined && { lookup }),
    ...(localAddress !== undefined && { localAddress }),
    ...(wanted && { family: wanted === 4 ? 4 : 6 }),
  };
}

/** The name that a server is asked to be (RFC 6066 3): '' for an address, and no dot at the end. */
export function serverNameOf(host: string): string {
  return isIP(host) === 0 ? host.replace(/\.$/, '') : '';
}

/**
 * The options with the certificates and keys in them read, so that what is wrong with those is told before
 * anything is sent.
 * @param name of the option.
 * @throws {ApertoError} INVALID_OPTION
 */
export function withContext(name: string, tls: ConnectionOptions): ConnectionOptions {
  // Node would find that out when it is connecting already.
  if (tls.servername !== undefined && typeof tls.servername !== 'string') {
    throw apertoError('INVALID_OPTION', { detail: `${name}.servername is a string` });
  }
  try {
    return { ...tls, secureContext: tls.secureContext ?? createSecureContext(tls) };
  } catch (cause) {
    throw invalidOption(name, cause);
  }
}

function invalidOption(name: string, cause: unknown): ApertoError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return apertoError('INVALID_OPTION', { detail: `${name}: ${why}`, cause });
}

/**
 * Begins a connection; its 'error' tells what goes wrong.
 * @param tunnel to be used in place of a connection of its own.
 * @throws {ApertoError} INVALID_OPTION for what node:tls refuses at once.
 */
export function openSocket(
  endpoint: Endpoint,
  address: AddressOptions,
  tls: ConnectionOptions,
  tunnel?: Socket,
): Socket {
  const { encrypted, host, port, socketPath } = endpoint;
  if (socketPath !== undefined) return netConnect({ path: socketPath });
  if (!encrypted) return tunnel ?? netConnect({ ...address, host, port, noDelay: true });
  try {
    return tlsConnect({
      ...tls,
      ...address,
      ALPNProtocols: tls.ALPNProtocols ?? ['http/1.1'],
      servername: (tls.servername ?? serverNameOf(host)) || undefined,
      // Not all of `tls` is about TLS, but where it leads is not its to say.
      host,
      port,
      path: undefined,
      socket: tunnel,
    }).setNoDelay(true);
  } catch (cause) {
    tunnel?.destroy();
    throw invalidOption('node:tls', cause);
  }
}
