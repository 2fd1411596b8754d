/** So many tries, since some inputs take long. */
const TRIES = 3_000;

/** A smaller input of which `fails` still holds: without parts, then with zeros and small values. */
export async function minimise(
  input: Uint8Array,
  fails: (smaller: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const isBetter = async (smaller: Uint8Array): Promise<boolean> => {
    if (tries++ >= TRIES || !(await fails(smaller))) return false;
    best = smaller;
    return true;
  };

  for (let size = Math.max(1, best.length >> 1); size >= 1; size >>= 1) {
    for (let at = 0; at < best.length; ) {
      const without = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
      if (!(await isBetter(without))) at += size;
    }
  }
  for (let at = 0; at < best.length; at++) {
    for (const value of [0x00, 0x01, 0x61]) {
      const byte = best[at] ?? 0;
      if (byte <= value) break;
      const simpler = best.slice();
      simpler[at] = value;
      if (await isBetter(simpler)) break;
    }
  }
  return best;
}
