/** Every way of cutting bytes in which a decoder must see the same: whole, byte by byte, at each point. */
export function* waysOfSplitting(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes];
  yield [...bytes].map((byte) => Uint8Array.of(byte));
  for (let at = 1; at < bytes.length; at++) yield [bytes.slice(0, at), bytes.slice(at)];
}

/** The same, each piece in memory of its own, since a parser unmasks in place. */
export function copies(pieces: readonly Uint8Array[]): Uint8Array[] {
  return pieces.map((piece) => Uint8Array.from(piece));
}

/** Cuts bytes into pieces of the given sizes, again and again. */
export function cutInto(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}
