import { apertoError } from '../errors.ts';
import { isToken, trimOws } from './header-syntax.ts';

/**
 * The subprotocols that the lines of a Sec-WebSocket-Protocol header offer, in order; empty without
 * the header, undefined where it is malformed.
 */
export function parseProtocols(values: readonly string[]): readonly string[] | undefined {
  const offered = new Set<string>();
  // RFC 6455 11.3.4: the header may come in several lines, which make one list.
  for (const line of values) {
    for (const element of line.split(',')) {
      const protocol = trimOws(element);
      // RFC 6455 4.1 (10): the elements are non-empty tokens, all different.
      if (!isToken(protocol) || offered.has(protocol)) return undefined;
      offered.add(protocol);
    }
  }
  return [...offered];
}

/** The first subprotocol that the client offers and we speak; '' where there is none. */
export function chooseProtocol(offered: readonly string[], spoken: readonly string[]): string {
  // RFC 6455 4.2.2 (4): one that the client offered, or none; 4.2.1 (8): its order is its preference.
  return offered.find((protocol) => spoken.includes(protocol)) ?? '';
}

/**
 * The application's own list of subprotocols, checked; a copy, so that a later change of the
 * application's array changes nothing here.
 * @throws {ApertoError} INVALID_PROTOCOL for what is no list of distinct tokens.
 */
export function checkProtocols(protocols: readonly string[]): readonly string[] {
  if (!Array.isArray(protocols)) {
    throw apertoError('INVALID_PROTOCOL', { detail: 'a list was expected' });
  }
  const checked = new Set<string>();
  for (const protocol of protocols as readonly unknown[]) {
    if (typeof protocol !== 'string' || !isToken(protocol)) {
      throw apertoError('INVALID_PROTOCOL', {
        detail: `${JSON.stringify(protocol)} is no token`,
      });
    }
    if (checked.has(protocol)) {
      throw apertoError('INVALID_PROTOCOL', { detail: `${protocol} is there twice` });
    }
    checked.add(protocol);
  }
  return [...checked];
}
