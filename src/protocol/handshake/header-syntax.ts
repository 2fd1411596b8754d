import { apertoError } from '../errors.ts';

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A table of ASCII codes: 1 at each character that is in `characters`. */
export function codeTable(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (let at = 0; at < characters.length; at++) table[characters.charCodeAt(at)] = 1;
  return table;
}

// RFC 9110 5.6.2: tchar.
const tokenCodes = codeTable(`!#$%&'*+-.^_\`|~${ALPHANUMERIC}`);

// RFC 3986 3.2.2: unreserved and sub-delims, what a registered name is made of.
export const nameCodes: Uint8Array = codeTable(`-._~!$&'()*+,;=${ALPHANUMERIC}`);

/** Whether the code of a character may stand in a token (RFC 9110 5.6.2). */
export function isTokenCode(code: number): boolean {
  return tokenCodes[code] === 1;
}

/** The index behind the token that begins at `from`; `from` itself where none begins. */
export function tokenEnd(text: string, from: number): number {
  let at = from;
  while (isTokenCode(text.charCodeAt(at))) at++;
  return at;
}

/** Whether the text is a token, whole (RFC 9110 5.6.2). */
export function isToken(text: string): boolean {
  return text !== '' && tokenEnd(text, 0) === text.length;
}

/** Whether the text may be a field's value (RFC 9110 5.5): no control but the tab, nothing above U+00FF. */
function isFieldValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The index of the first character from `from` on that is no optional whitespace (RFC 9110 5.6.3). */
export function skipOws(text: string, from: number): number {
  let at = from;
  while (isOws(text.charCodeAt(at))) at++;
  return at;
}

/** The text without optional whitespace around it. */
export function trimOws(text: string): string {
  const start = skipOws(text, 0);
  let end = text.length;
  while (end > start && isOws(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * The text with A to Z in lower case. `toLowerCase` alone would turn the Kelvin sign into a `k`, and
 * so let `websoc\u212Aet` pass.
 */
export function asciiLowerCase(text: string): string {
  // What is all ASCII, as nearly everything is, has no such letters.
  if (/^\p{ASCII}*$/u.test(text)) return text.toLowerCase();
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Checks headers that the application sets. The detail names the field, never its value, which may
 * be a secret.
 * @throws {ApertoError} INVALID_HEADER for a name that is no token, a value that is no string or has a
 * control character (CR and LF would begin another header) or one above U+00FF, and for a name in
 * `reserved` (in lower case).
 */
export function checkHeaders(
  headers: Readonly<Record<string, string>>,
  reserved: ReadonlySet<string>,
): void {
  for (const [name, value] of Object.entries(headers)) {
    const shown = JSON.stringify(name);
    if (!isToken(name)) {
      throw apertoError('INVALID_HEADER', { detail: `${shown} is not a header name` });
    }
    if (reserved.has(asciiLowerCase(name))) {
      throw apertoError('INVALID_HEADER', {
        detail: `${shown} is not the application's to set`,
      });
    }
    if (typeof value !== 'string' || !isFieldValue(value)) {
      throw apertoError('INVALID_HEADER', { detail: `the value of ${shown}` });
    }
  }
}
