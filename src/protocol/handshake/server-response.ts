import { apertoError } from '../errors.ts';
import type { Platform } from '../platform.ts';
import { asciiLowerCase, checkHeaders } from './header-syntax.ts';
import type { Acceptance } from './server-handshake.ts';

/** The response that switches protocols (RFC 6455 4.2.2 (5)), to its empty line; ASCII. */
export function acceptResponse({ accept, protocol, deflate }: Acceptance): string {
  // RFC 6455 4.2.2 (5.5): the subprotocol only where one was chosen.
  const chosen = protocol === '' ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  // RFC 6455 4.2.2 (5.6): the extensions only where some were chosen.
  const extensions =
    deflate === undefined ? '' : `Sec-WebSocket-Extensions: ${deflate.response}\r\n`;
  return (
    'HTTP/1.1 101 Switching Protocols\r\n' +
    'Upgrade: websocket\r\n' +
    'Connection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n${chosen}${extensions}\r\n`
  );
}

// RFC 9110 15: the statuses that can answer a request that is not granted.
const reasonPhrases = new Map([
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [451, 'Unavailable For Legal Reasons'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [511, 'Network Authentication Required'],
]);

// Where the body ends is for us to say: a wrong length would let the body pass for another response.
const reserved: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

/**
 * Checks what the application wants an upgrade refused with.
 * @throws {ApertoError} INVALID_OPTION for a status that is not a whole number of 300 to 599, or is
 * 304, which has no body; INVALID_HEADER for a header that HTTP does not allow, and for Content-Length
 * and Transfer-Encoding.
 */
export function checkRefusal(status: number, headers: Readonly<Record<string, string>>): void {
  if (!Number.isInteger(status) || status < 300 || status > 599 || status === 304) {
    throw apertoError('INVALID_OPTION', {
      detail: `an upgrade is refused with a status of 300 to 599 that has a body, not ${String(status)}`,
    });
  }
  checkHeaders(headers, reserved);
}

/**
 * The response that refuses an upgrade, whole: bytes, since its head is Latin-1 and its body UTF-8.
 * The connection ends with it. Without a Content-Type of the application's it is plain text.
 * @throws {ApertoError} as `checkRefusal`.
 */
export function refusalResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  platform: Platform,
): Uint8Array {
  checkRefusal(status, headers);
  const length = platform.utf8Length(body);
  // RFC 9112 4: the space stays where there is no reason phrase.
  let head = `HTTP/1.1 ${status} ${reasonPhrases.get(status) ?? ''}\r\n`;
  let connection = 'close';
  let typed = false;
  for (const [name, value] of Object.entries(headers)) {
    const lowerCase = asciiLowerCase(name);
    // RFC 9110 7.8: Upgrade must be named in Connection, which also says that this is the end.
    if (lowerCase === 'connection') {
      connection = `${value}, close`;
      continue;
    }
    if (lowerCase === 'content-type') typed = true;
    head += `${name}: ${value}\r\n`;
  }
  if (!typed) head += 'Content-Type: text/plain; charset=utf-8\r\n';
  head += `Content-Length: ${length}\r\nConnection: ${connection}\r\n\r\n`;
  const bytes = new Uint8Array(head.length + length);
  for (let at = 0; at < head.length; at++) bytes[at] = head.charCodeAt(at);
  platform.encodeUtf8(body, bytes, head.length);
  return bytes;
}
