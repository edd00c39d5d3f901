/**
 * More than 2^31 bytes as the argument of a call and as its result. Not part of the test run: it takes 10 GiB of
 * memory, and half a minute.
 *
 *   bun test/stress/huge.ts [GiB, 2.5 by default]        mpirun -n 2 bun test/stress/huge.ts [GiB]
 */
import { AsyncPool } from "../../index.ts";

const STEP = 4_999_999;

/** Marks all along the array, by which a part that is missing or misplaced shows. */
function marked(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += STEP) bytes[i] = 1 + ((i / STEP) % 251);
  return bytes;
}

/** How many bytes, all of them in their places; -1 if not. */
function soundLength(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i += STEP) if (bytes[i] !== 1 + ((i / STEP) % 251)) return -1;
  return bytes.length;
}

function report(what: string, length: number): void {
  const isSound = length === BYTES;
  console.log(`${what} of ${BYTES} bytes: ${isSound ? "sound" : `DAMAGED (${length})`}`);
  if (!isSound) process.exitCode = 1;
}

const BYTES = Math.round(Number(process.argv[2] ?? 2.5) * 2 ** 30);
await using pool = await AsyncPool.open(1);
report("an argument", await pool.async(soundLength, marked(BYTES)));
report("a result", soundLength(await pool.async(marked, BYTES)));
