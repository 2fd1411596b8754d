import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** What is in the one fenced block of that language below a heading, and above the next one, on a page of docs/. */
export function documentedBlock(page: string, heading: string, language: string): string {
  // This file runs from build/interop/.
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  // A line of a block may begin as a heading does, and then is none.
  const parts = text.split(/^(```\w*\n.*?^```$)/ms);
  let under: string | undefined;
  const found = parts.flatMap((part) => {
    const block = /^```(\w*)\n(.*)^```$/ms.exec(part);
    if (block === null) under = [...part.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? under;
    return block?.[1] === language && under === heading ? [block[2] ?? ''] : [];
  });
  const [block] = found;
  assert.ok(
    block !== undefined && found.length === 1,
    `docs/${page} has ${found.length} blocks of ${language} below "${heading}"`,
  );
  return block;
}

/** The text with the addresses, ports and paths of a test in place of its own; each of these must be there. */
export function adapted(text: string, replacements: Readonly<Record<string, string>>): string {
  const replaced = new Set<string>();
  const own = Object.keys(replacements).map((key) => key.replaceAll(/[^\w]/g, '\\$&'));
  // In one go: what was put in is not looked at again. A port is no beginning of a longer one.
  const result = text.replaceAll(new RegExp(`(?:${own.join('|')})(?!\\w)`, 'g'), (key) => {
    replaced.add(key);
    return replacements[key] ?? '';
  });
  assert.deepEqual([...replaced].sort(), Object.keys(replacements).sort(), `replaced in ${text}`);
  return result;
}
