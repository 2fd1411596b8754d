/** Lines `name: value` as a message of HTTP has them; what has no colon is a name without a value. */
export function rawFieldsOf(lines: readonly string[]): string[] {
  return lines
    .filter((line) => line !== '')
    .flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)];
    });
}

/** The fields by a plain reading: every value of a name, in whatever case the name is written. */
export class PlainFields {
  readonly #pairs: readonly (readonly [name: string, value: string])[];

  constructor(raw: readonly string[]) {
    this.#pairs = Array.from({ length: raw.length / 2 }, (_, i) => [
      lowerCase(raw[2 * i] ?? ''),
      (raw[2 * i + 1] ?? '').replace(/^[ \t]+/, '').replace(/[ \t]+$/, ''),
    ]);
  }

  all(name: string): string[] {
    return this.#pairs.filter(([one]) => one === name).map(([, value]) => value);
  }

  /** Whether the field is there once, with a value that is as described. */
  isOnce(name: string, value: RegExp): boolean {
    const all = this.all(name);
    return all.length === 1 && value.test(all[0] ?? '');
  }

  /** Elements of the list that all lines make. */
  list(name: string): string[] {
    return this.all(name).flatMap((line) =>
      line.split(',').map((one) => one.replace(/^[ \t]+|[ \t]+$/g, '')),
    );
  }

  has(name: string, token: string): boolean {
    return this.list(name).some((one) => lowerCase(one) === token);
  }
}

/** ASCII alone. */
export function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 32));
}

export const TOKEN: RegExp = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Pieces of the headers of both sides. */
export const headerWords: readonly Uint8Array[] = [
  'GET 1.1\n',
  'Host: ',
  'Host: example.com\n',
  'Upgrade: websocket\n',
  'Connection: keep-alive, Upgrade\n',
  'Connection: Upgrade\n',
  'Sec-WebSocket-Version: 13\n',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n',
  'Sec-WebSocket-Protocol: chat, superchat\n',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n',
  'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\n',
  'Origin: https://example.com\n',
  'Origin: null\n',
  'Content-Length: 0\n',
  'Content-Length: 5\n',
  'Transfer-Encoding: chunked\n',
  '__proto__: x\n',
  ':8080',
  ':65536',
  '[::1]',
  '%41',
  '%4',
  ' \t',
  ',,',
  '\u212a',
].map((word) => Uint8Array.from(Buffer.from(word)));
