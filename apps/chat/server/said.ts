/** A message that was said. `at` is in milliseconds since 1970 UTC. */
export interface Said {
  readonly from: string;
  readonly text: string;
  readonly at: number;
  readonly id: string;
}

/** As it is kept in the history. */
export function encodeSaid({ from, text, at, id }: Said): string {
  return JSON.stringify({ from, text, at, id });
}

/** What was kept; undefined for what others may have put there. */
export function decodeSaid(data: string | Uint8Array): Said | undefined {
  let value: unknown;
  try {
    value = JSON.parse(String(data));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { from, text, at, id } = value as Partial<Record<keyof Said, unknown>>;
  if (typeof from !== 'string' || typeof text !== 'string') return undefined;
  if (typeof at !== 'number' || typeof id !== 'string') return undefined;
  return { from, text, at, id };
}

/** About what it takes in memory: two bytes a character, and the objects around them. */
export function costOf(said: Said): number {
  return 2 * (said.from.length + said.text.length + said.id.length) + 128;
}
