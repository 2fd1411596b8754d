import { ApertoError, type ApertoErrorOptions, type ErrorRow } from './aperto-error.ts';
import { type ClientErrorCode, clientErrors, local, network, rfc } from './client-errors.ts';

/**
 * The one table of what can go wrong. A row says who broke a rule, which, and what the other side is
 * told: `closeCode` on an open connection, `status` in answer to an upgrade. docs/errors.md is
 * generated from it.
 */

const peer = (closeCode: number, section: string, message: string): ErrorRow => ({
  side: 'peer',
  closeCode,
  section,
  message,
});
const refused = (status: number, section: string, message: string): ErrorRow => ({
  side: 'peer',
  status,
  section,
  message,
});
const server = (section: string, message: string): ErrorRow => ({ side: 'peer', section, message });

/** The literal code of an error, for `switch` and `===`. */
export type ErrorCode =
  | ClientErrorCode
  | 'RESERVED_BITS'
  | 'RESERVED_OPCODE'
  | 'MASK_MISSING'
  | 'MASK_FORBIDDEN'
  | 'LENGTH_NOT_MINIMAL'
  | 'LENGTH_MOST_SIGNIFICANT_BIT'
  | 'CONTROL_FRAGMENTED'
  | 'CONTROL_TOO_LONG'
  | 'CONTINUATION_UNEXPECTED'
  | 'MESSAGE_INTERLEAVED'
  | 'INVALID_UTF8'
  | 'MESSAGE_TOO_BIG'
  | 'INFLATE_CORRUPT'
  | 'INFLATION_RATIO'
  | 'TOO_MANY_FRAGMENTS'
  | 'MESSAGE_TIMEOUT'
  | 'CONTROL_FLOOD'
  | 'CLOSE_LENGTH'
  | 'CLOSE_CODE'
  | 'CLOSE_TIMEOUT'
  | 'CLOSED_BY_PEER'
  | 'CONNECTION_LOST'
  | 'PING_TIMEOUT'
  | 'SEND_STALLED'
  | 'SEND_BUFFER_FULL'
  | 'OVERLOADED'
  | 'MESSAGE_FLOOD'
  | 'HANDLER_FAILED'
  | 'TERMINATED'
  | 'METHOD_NOT_GET'
  | 'HTTP_VERSION'
  | 'CONNECT_MALFORMED'
  | 'PROTOCOL_UNKNOWN'
  | 'HOST_INVALID'
  | 'HOST_UNKNOWN'
  | 'REQUEST_BODY'
  | 'UPGRADE_MISSING'
  | 'CONNECTION_MISSING'
  | 'KEY_INVALID'
  | 'VERSION_UNSUPPORTED'
  | 'PROTOCOL_HEADER_INVALID'
  | 'EXTENSIONS_HEADER_INVALID'
  | 'ORIGIN_FORBIDDEN'
  | 'TOO_MANY_HEADERS'
  | 'NO_ROUTE'
  | 'UPGRADE_REJECTED'
  | 'UPGRADE_FAILED'
  | 'UPGRADE_TIMEOUT'
  | 'SERVER_CLOSING'
  | 'TOO_MANY_CONNECTIONS'
  | 'STATUS_NOT_101'
  | 'RESPONSE_UPGRADE'
  | 'RESPONSE_CONNECTION'
  | 'ACCEPT_INVALID'
  | 'RESPONSE_PROTOCOL'
  | 'RESPONSE_EXTENSION'
  | 'SUBPROTOCOL_MISSING'
  | 'REDIRECT_REFUSED'
  | 'PROXY_REFUSED'
  | 'CERTIFICATE_NAME'
  | 'INVALID_HEADER'
  | 'INVALID_CONTROL_PAYLOAD'
  | 'INVALID_TOPIC'
  | 'TOO_MANY_TOPICS'
  | 'ENGINE_AWAY'
  | 'PUBLISH_FAILED'
  | 'ENVELOPE_INVALID'
  | 'MESSAGES_TAKEN';

/** A row for each code. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = {
  ...clientErrors,

  // Frames
  RESERVED_BITS: peer(1002, rfc('5.2'), 'a reserved bit is set and no extension was agreed'),
  RESERVED_OPCODE: peer(1002, rfc('5.2'), 'the opcode is reserved'),
  MASK_MISSING: peer(1002, rfc('5.1'), 'a client must mask every frame'),
  MASK_FORBIDDEN: peer(1002, rfc('5.1'), 'a server must not mask a frame'),
  LENGTH_NOT_MINIMAL: peer(1002, rfc('5.2'), 'the length is not in its shortest form'),
  LENGTH_MOST_SIGNIFICANT_BIT: peer(1002, rfc('5.2'), 'the highest bit of a 64-bit length is set'),
  CONTROL_FRAGMENTED: peer(1002, rfc('5.5'), 'a control frame must not be fragmented'),
  CONTROL_TOO_LONG: peer(1002, rfc('5.5'), 'a control frame carries at most 125 bytes'),

  // Messages
  CONTINUATION_UNEXPECTED: peer(1002, rfc('5.4'), 'a continuation without a message to continue'),
  MESSAGE_INTERLEAVED: peer(1002, rfc('5.4'), 'a new message before the last one was finished'),
  INVALID_UTF8: peer(1007, rfc('8.1'), 'text is not valid UTF-8'),
  MESSAGE_TOO_BIG: peer(1009, rfc('7.4.1'), 'the message is over the size limit'),
  INFLATE_CORRUPT: peer(1007, 'RFC 7692 7.2.2', 'the compressed message is corrupt'),
  INFLATION_RATIO: peer(1009, 'RFC 7692 8', 'the message inflates too far'),
  TOO_MANY_FRAGMENTS: peer(1008, rfc('10.4'), 'the message has too many fragments'),
  MESSAGE_TIMEOUT: peer(1008, rfc('10.4'), 'the message was not completed in time'),
  CONTROL_FLOOD: peer(1008, rfc('10.4'), 'too many control frames'),
  MESSAGE_FLOOD: peer(1008, rfc('7.4.1'), 'messages come faster than they may'),

  // Closing
  CLOSE_LENGTH: peer(
    1002,
    rfc('5.5.1'),
    'a close frame has no payload or at least a two-byte code',
  ),
  CLOSE_CODE: peer(1002, rfc('7.4'), 'the close code must not be sent'),
  CLOSE_TIMEOUT: network(rfc('7.1.1'), 'the closing handshake was not finished in time'),
  CLOSED_BY_PEER: server(rfc('7.1.5'), 'the peer closed with a code that tells of an error'),
  CONNECTION_LOST: network(rfc('7.1.5'), 'the connection ended without a close frame'),
  PING_TIMEOUT: network(rfc('5.5.2'), 'the peer was silent for too long'),
  SEND_STALLED: network(rfc('10.4'), 'the peer stopped taking data'),
  SEND_BUFFER_FULL: peer(1013, rfc('7.4.1'), 'the peer takes data too slowly'),
  OVERLOADED: {
    side: 'local',
    closeCode: 1013,
    section: rfc('10.4'),
    message: 'unfinished messages of all connections hold as much as they may',
  },
  HANDLER_FAILED: {
    side: 'local',
    closeCode: 1011,
    section: rfc('7.4.1'),
    message: 'a handler of the application threw',
  },
  TERMINATED: {
    side: 'local',
    closeCode: 1006,
    section: rfc('7.1.5'),
    message: 'the application ended the connection at once',
  },

  // The opening handshake, seen by a server
  METHOD_NOT_GET: refused(405, rfc('4.2.1'), 'an upgrade must be a GET request'),
  HTTP_VERSION: refused(400, rfc('4.2.1'), 'an upgrade needs HTTP/1.1 or newer'),
  CONNECT_MALFORMED: refused(400, 'RFC 8441 4', 'an extended CONNECT has :scheme and :path'),
  PROTOCOL_UNKNOWN: refused(501, 'RFC 9220 3', 'this server does not speak that :protocol'),
  HOST_INVALID: refused(400, 'RFC 9112 3.2', 'a request has exactly one valid Host header'),
  HOST_UNKNOWN: refused(421, 'RFC 9110 15.5.20', 'this server does not answer for that host'),
  REQUEST_BODY: refused(400, rfc('4.1'), 'an upgrade must not carry a body'),
  UPGRADE_MISSING: refused(426, rfc('4.2.1'), 'the Upgrade header must contain websocket'),
  CONNECTION_MISSING: refused(400, rfc('4.2.1'), 'the Connection header must contain upgrade'),
  KEY_INVALID: refused(
    400,
    rfc('4.2.1'),
    'Sec-WebSocket-Key must be sixteen bytes in base64, once',
  ),
  VERSION_UNSUPPORTED: refused(426, rfc('4.4'), 'Sec-WebSocket-Version must be 13'),
  PROTOCOL_HEADER_INVALID: refused(
    400,
    rfc('4.1'),
    'Sec-WebSocket-Protocol must be a list of distinct tokens',
  ),
  EXTENSIONS_HEADER_INVALID: refused(400, rfc('9.1'), 'Sec-WebSocket-Extensions is malformed'),
  ORIGIN_FORBIDDEN: refused(403, rfc('10.2'), 'this origin may not connect'),
  TOO_MANY_HEADERS: refused(431, 'RFC 6585 5', 'the request has too many headers'),
  NO_ROUTE: refused(404, rfc('4.2.2'), 'nothing answers WebSocket at this path'),
  UPGRADE_REJECTED: refused(403, rfc('4.2.2'), 'the application refused the upgrade'),
  UPGRADE_FAILED: {
    side: 'local',
    status: 500,
    section: rfc('4.2.2'),
    message: 'the upgrade handler threw',
  },
  UPGRADE_TIMEOUT: {
    side: 'local',
    status: 503,
    section: 'RFC 9110 15.6.4',
    message: 'the upgrade handler took too long',
  },
  SERVER_CLOSING: {
    side: 'local',
    status: 503,
    section: 'RFC 9110 15.6.4',
    message: 'the server is closing',
  },
  TOO_MANY_CONNECTIONS: {
    side: 'local',
    status: 503,
    section: 'RFC 9110 15.6.4',
    message: 'there are as many connections as there may be',
  },

  // The opening handshake, seen by a client
  STATUS_NOT_101: server(rfc('4.1'), 'the server did not switch protocols'),
  RESPONSE_UPGRADE: server(rfc('4.1'), 'the response must have Upgrade: websocket'),
  RESPONSE_CONNECTION: server(rfc('4.1'), 'the response must have Connection: Upgrade'),
  ACCEPT_INVALID: server(rfc('4.1'), 'Sec-WebSocket-Accept does not answer the key'),
  RESPONSE_PROTOCOL: server(rfc('4.1'), 'the server chose a subprotocol that was not offered'),
  RESPONSE_EXTENSION: server(
    rfc('4.1'),
    'the server accepted an extension, or parameters of one, that were not offered',
  ),
  SUBPROTOCOL_MISSING: server(
    'WHATWG WebSockets 2.2',
    'the server chose none of the subprotocols that were offered',
  ),
  REDIRECT_REFUSED: server(rfc('4.1'), 'the server redirects to where the client does not follow'),
  PROXY_REFUSED: server('RFC 9110 9.3.6', 'the proxy did not open a tunnel'),
  CERTIFICATE_NAME: server('RFC 9110 4.3.4', "the server's certificate is for another name"),

  // Misuse by the application: thrown
  INVALID_HEADER: local('RFC 9110 5.5', 'a header has a character that it must not have'),
  INVALID_CONTROL_PAYLOAD: local(rfc('5.5'), 'a ping or pong carries at most 125 bytes'),
  INVALID_TOPIC: local(
    '',
    'a topic is a string of well-formed Unicode, neither empty nor too long',
  ),
  TOO_MANY_TOPICS: local('', 'the peer is subscribed to as many topics as it may be'),
  ENGINE_AWAY: network('', 'the engine that topics are carried by cannot be reached'),
  PUBLISH_FAILED: network('', 'what was published may not have reached other servers'),
  ENVELOPE_INVALID: network('', 'what came from the engine is no message of a topic'),
  MESSAGES_TAKEN: local('', 'the messages of this peer are being read already'),
};

/** The error of a row. */
export function apertoError(code: ErrorCode, options?: ApertoErrorOptions): ApertoError {
  return new ApertoError(code, errorTable[code], options);
}
