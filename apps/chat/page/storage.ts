/** Texts by key that outlive something: a reload, or the window. */
export interface Store {
  read(key: string): string | undefined;
  /** Keeps a text; `undefined` removes it. */
  write(key: string, text: string | undefined): void;
}

/**
 * A browser's storage. Where it is full or forbidden the page works on, and forgets.
 * @param open throws where the browser forbids even to look at the storage.
 */
export function browserStore(
  open: () => {
    getItem(key: string): string | null;
    setItem(key: string, text: string): void;
    removeItem(key: string): void;
  },
): Store {
  const prefix = 'aperto-chat.';
  return {
    read(key) {
      try {
        return open().getItem(prefix + key) ?? undefined;
      } catch {
        return undefined;
      }
    },
    write(key, text) {
      try {
        if (text === undefined) open().removeItem(prefix + key);
        else open().setItem(prefix + key, text);
      } catch {
        // Full or forbidden.
      }
    },
  };
}
