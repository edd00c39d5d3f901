/** Bits of a digest: as many as a number holds exactly. */
const DIGEST_BITS = 53;

/** A number that differs, but for chance, where a part does. */
export function digestOf(parts: readonly (Uint8Array | string)[]): number {
  const hash = parts.reduce((hash, bytes) => Bun.hash.xxHash64(bytes, hash), 0n);
  return Number(BigInt.asUintN(DIGEST_BITS, hash));
}
