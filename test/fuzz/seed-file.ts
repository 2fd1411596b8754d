/**
 * Inputs as text, so that a diff shows what they are: each line is hexadecimal, a JSON string whose characters are
 * bytes, or a comment that begins with `#`.
 */

const PIECE = /^(?:[0-9a-f]{2})+$/i;

export function readSeed(text: string): Uint8Array {
  const parts: Buffer[] = [];
  for (const line of text.split('\n')) {
    const shown = line.trim();
    if (shown === '' || shown.startsWith('#')) continue;
    if (shown.startsWith('"')) {
      const value: unknown = JSON.parse(shown);
      if (typeof value !== 'string') throw new SyntaxError(`no string: ${shown}`);
      parts.push(Buffer.from(value, 'latin1'));
      continue;
    }
    for (const piece of shown.split(/\s+/)) {
      if (!PIECE.test(piece)) throw new SyntaxError(`neither hexadecimal nor a string: ${piece}`);
      parts.push(Buffer.from(piece, 'hex'));
    }
  }
  return Uint8Array.from(Buffer.concat(parts));
}

export function writeSeed(bytes: Uint8Array, comment: string): string {
  const lines = comment.split('\n').map((line) => `# ${line}`.trimEnd());
  for (let at = 0; at < bytes.length; at += 32) {
    lines.push(Buffer.from(bytes.subarray(at, at + 32)).toString('hex'));
  }
  return `${lines.join('\n')}\n`;
}
