import type { DeflateParameters, Deflater } from '../../protocol/extensions/compression.ts';

export function parametersKey({ windowBits, level, memLevel }: DeflateParameters): string {
  return `${windowBits} ${level} ${memLevel}`;
}

/**
 * One deflater for all who compress alike. By it, too, a message for many is known to be compressed already.
 */
export function oneForEach(
  make: (parameters: DeflateParameters) => Deflater,
): (parameters: DeflateParameters) => Deflater {
  const deflaters: Map<string, Deflater> = new Map();
  return (parameters) => {
    const key = parametersKey(parameters);
    let deflater = deflaters.get(key);
    if (deflater === undefined) {
      deflater = make(parameters);
      deflaters.set(key, deflater);
    }
    return deflater;
  };
}
