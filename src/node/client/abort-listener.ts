/** Those who wait on one signal, and the one listener that tells them. */
interface Shared {
  readonly waiting: Set<() => void>;
  readonly tellAll: () => void;
}

const sharedBySignal = new WeakMap<AbortSignal, Shared>();

/**
 * Calls back when the signal aborts. However many wait on one signal, it has one listener of ours: at the
 * eleventh Node would warn of a leak, and a signal for a thousand connections is none.
 * @returns what stops the waiting.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const shared = sharedBySignal.get(signal) ?? listen(signal);
  shared.waiting.add(listener);
  return () => {
    if (!shared.waiting.delete(listener) || shared.waiting.size > 0) return;
    signal.removeEventListener('abort', shared.tellAll);
    sharedBySignal.delete(signal);
  };
}

function listen(signal: AbortSignal): Shared {
  const waiting = new Set<() => void>();
  const tellAll = (): void => {
    for (const listener of waiting) listener();
  };
  signal.addEventListener('abort', tellAll);
  const shared = { waiting, tellAll };
  sharedBySignal.set(signal, shared);
  return shared;
}
