/**
 * More than 2^31 bytes and back, in each way there is. Not part of the test run: it takes 10 GiB of
 * memory and a minute.
 *
 *   mpirun -n 2 bun test/comm/huge.ts [GiB, 2.5 by default]
 */
import { MAX, world } from "../../mpi.ts";

const BYTES = Math.round(Number(process.argv[2] ?? 2.5) * 2 ** 30);
const STEP = 4_999_999;
const { rank } = world;
const other = 1 - rank;

/** Marks all along the array, by which a part that is missing or misplaced shows. */
function fill(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i += STEP) bytes[i] = 1 + ((i / STEP) % 251);
  bytes[bytes.length - 1] = 77;
  return bytes;
}

function check(what: string, bytes: Uint8Array, count: number): void {
  let sound = count === BYTES && bytes.length === BYTES && bytes.at(-1) === 77;
  for (let i = 0; i < bytes.length - 1; i += STEP) {
    if (bytes[i] !== 1 + ((i / STEP) % 251)) sound = false;
  }
  console.log(`rank ${rank}: ${what} of ${count} bytes: ${sound ? "sound" : "DAMAGED"}`);
  if (!sound) process.exitCode = 1;
}

if (world.size !== 2) throw new Error("it takes two ranks");
const bytes = new Uint8Array(BYTES);
if (rank === 0) world.send(fill(bytes), other);
else check("recv", bytes, world.recv(bytes, other).count);
if (rank === 1) await world.isend(bytes, other);
else check("irecv", bytes.fill(0), (await world.irecv(bytes, other)).count);
if (rank === 1) bytes.fill(0);
check("bcast", world.bcast(bytes, 0), BYTES);
check("allreduce", world.allreduce(bytes, bytes, MAX), BYTES);
