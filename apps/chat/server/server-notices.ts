/** Who has come to a room or gone. */
export type Change =
  | { readonly type: 'joined'; readonly name: string }
  | { readonly type: 'left'; readonly name: string }
  | {
      readonly type: 'renamed';
      readonly from: string;
      readonly to: string;
      /** Whether the name that was given up is nobody's any more. */
      readonly isGone: boolean;
      /** Whether the name that was taken was nobody's. */
      readonly isNew: boolean;
    };

/**
 * What servers tell each other in a room's topic. What was said is not in it, only that there is something new in the
 * history.
 */
export type Notice = Change | { readonly type: 'said' };

/** @param by which server tells it. */
export function encodeNotice(notice: Notice, by: string): string {
  return JSON.stringify({ by, ...notice });
}

/** Undefined for a notice of one's own, and for what is none, such as one of a newer server. */
export function decodeNotice(data: string | Uint8Array, own: string): Notice | undefined {
  let value: unknown;
  try {
    value = JSON.parse(String(data));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { by, type, name, from, to, isGone, isNew } = value as Partial<Record<string, unknown>>;
  if (by === own) return undefined;
  if (type === 'said') return { type };
  if (type === 'joined' || type === 'left') {
    return typeof name === 'string' ? { type, name } : undefined;
  }
  if (type !== 'renamed' || typeof from !== 'string' || typeof to !== 'string') return undefined;
  return { type, from, to, isGone: isGone === true, isNew: isNew === true };
}
