import { ApertoError, type ApertoErrorOptions, type ErrorRow } from './aperto-error.ts';

/**
 * The rows that a browser needs too. Apart from the other errors, of which nearly all are of the protocol,
 * since a browser's build is to be small.
 */

export const rfc = (section: string): string => `RFC 6455 ${section}`;
export const local = (section: string, message: string): ErrorRow => ({
  side: 'local',
  section,
  message,
});
export const network = (section: string, message: string): ErrorRow => ({
  side: 'network',
  closeCode: 1006,
  section,
  message,
});

export type ClientErrorCode =
  | 'HANDSHAKE_TIMEOUT'
  | 'CONNECT_FAILED'
  | 'ATTEMPTS_EXHAUSTED'
  | 'INVALID_URL'
  | 'INVALID_PROTOCOL'
  | 'INVALID_CLOSE_CODE'
  | 'INVALID_CLOSE_REASON'
  | 'INVALID_DATA'
  | 'INVALID_OPTION';

export const clientErrors: Readonly<Record<ClientErrorCode, ErrorRow>> = {
  HANDSHAKE_TIMEOUT: network(rfc('4.1'), 'the opening handshake took too long'),
  CONNECT_FAILED: network(rfc('4.1'), 'no connection could be made'),
  ATTEMPTS_EXHAUSTED: network('', 'too many attempts failed'),
  INVALID_URL: local(rfc('3'), 'not a WebSocket URL'),
  INVALID_PROTOCOL: local(rfc('4.1'), 'subprotocols are distinct tokens'),
  INVALID_CLOSE_CODE: local(rfc('7.4'), 'an application must not send this close code'),
  INVALID_CLOSE_REASON: local(
    rfc('5.5.1'),
    'a close reason is at most 123 bytes, and needs a code',
  ),
  INVALID_DATA: local(rfc('5.6'), 'a message is a string or bytes'),
  INVALID_OPTION: local('', 'an option has a value that it must not have'),
};

/** An error of a row that a browser needs too. */
export function clientError(code: ClientErrorCode, options?: ApertoErrorOptions): ApertoError {
  return new ApertoError(code, clientErrors[code], options);
}
