import type { FunctionRecord } from "../function/record.ts";

/** Bits of a digest: as many as a number holds exactly. */
const DIGEST_BITS = 53;

/** A number that differs, but for chance, where a part does. */
export function digestOf(parts: readonly (Uint8Array | string)[]): number {
  const hash = parts.reduce((hash, bytes) => Bun.hash.xxHash64(bytes, hash), 0n);
  return Number(BigInt.asUintN(DIGEST_BITS, hash));
}

/** What tells a function from others, wherever it stands. */
export function textOrName({ reference }: FunctionRecord): string {
  return "text" in reference ? reference.text : reference.name;
}
