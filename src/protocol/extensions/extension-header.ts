import { isTokenCode, skipOws, tokenEnd } from '../handshake/header-syntax.ts';

/** One extension as offered or accepted, its parameters in order; those that came twice are there twice. */
export interface Extension {
  readonly name: string;
  /** A parameter without `=` has the value undefined. */
  readonly params: readonly (readonly [name: string, value: string | undefined])[];
}

/**
 * Reads the lines of a Sec-WebSocket-Extensions header (RFC 6455 9.1): empty without the header,
 * undefined where it is malformed. Each character is looked at once or twice, whatever the input.
 */
export function parseExtensions(values: readonly string[]): readonly Extension[] | undefined {
  const extensions: Extension[] = [];
  // RFC 6455 9.1: the header may come in several lines, which make one list.
  for (const line of values) {
    if (!parseLine(line, extensions)) return undefined;
  }
  // RFC 6455 9.1: extension-list = 1#extension; empty elements do not count (RFC 9110 5.6.1.2).
  return values.length > 0 && extensions.length === 0 ? undefined : extensions;
}

function parseLine(line: string, extensions: Extension[]): boolean {
  let at = skipOws(line, 0);
  while (at < line.length) {
    // RFC 9110 5.6.1.2: empty elements of a list are ignored.
    if (line[at] === ',') {
      at = skipOws(line, at + 1);
      continue;
    }
    // RFC 6455 9.1: extension = extension-token *( ";" extension-param ).
    const end = tokenEnd(line, at);
    if (end === at) return false;
    const name = line.slice(at, end);
    const params: [string, string | undefined][] = [];
    at = skipOws(line, end);
    while (line[at] === ';') {
      at = parseParam(line, skipOws(line, at + 1), params);
      if (at === MALFORMED) return false;
    }
    if (at < line.length && line[at] !== ',') return false;
    extensions.push({ name, params });
  }
  return true;
}

const MALFORMED = -1;

/** Reads the parameter at `from`; returns the index of what follows it, or MALFORMED. */
function parseParam(line: string, from: number, params: [string, string | undefined][]): number {
  // RFC 6455 9.1: extension-param = token [ "=" (token | quoted-string) ].
  const nameEnd = tokenEnd(line, from);
  if (nameEnd === from) return MALFORMED;
  const name = line.slice(from, nameEnd);
  let at = skipOws(line, nameEnd);
  if (line[at] !== '=') {
    params.push([name, undefined]);
    return at;
  }
  at = skipOws(line, at + 1);
  if (line[at] === '"') return parseQuoted(line, at + 1, name, params);
  const end = tokenEnd(line, at);
  if (end === at) return MALFORMED;
  params.push([name, line.slice(at, end)]);
  return skipOws(line, end);
}

function parseQuoted(
  line: string,
  from: number,
  name: string,
  params: [string, string | undefined][],
): number {
  let value = '';
  for (let at = from; at < line.length; at++) {
    if (line[at] === '"') {
      if (value === '') return MALFORMED;
      params.push([name, value]);
      return skipOws(line, at + 1);
    }
    // RFC 9110 5.6.4: a backslash stands for the character behind it.
    if (line[at] === '\\') at++;
    // RFC 6455 9.1: a quoted value must be a token once it is unescaped.
    if (!isTokenCode(line.charCodeAt(at))) return MALFORMED;
    value += line[at];
  }
  return MALFORMED;
}
