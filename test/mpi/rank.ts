/** What the ranks of the tests run: `rank.ts <deed>`. Rank 0 prints what it found as JSON. */
import { MpiError } from "../../src/errors.ts";
import { withoutLauncher } from "../../src/mpi/launcher/launcher.ts";
import { ANY, type Mpi } from "../../src/mpi/mpi.ts";
import { startMpi } from "../../src/mpi/start.ts";
import { AS_ROOT } from "./launch.ts";

const LOOKS = { spinUs: 10, yieldUs: 10, napUs: 100 };

const status = new Int32Array(3);
const TAG = 5;

function finish(mpi: Mpi, request: number): void {
  while (request !== 0 && !mpi.test(request));
}

/** Any message, however long. */
function take(mpi: Mpi): Uint8Array {
  const small = new Uint8Array(new ArrayBuffer(8192));
  let found = 0;
  while ((found = mpi.poll(small, status)) === 0);
  const [source = 0, tag = 0, bytes = 0] = status;
  if (found === 1) return small.subarray(0, bytes);
  const large = new Uint8Array(bytes);
  finish(mpi, mpi.receive(large, bytes, source, tag));
  return large;
}

function pattern(bytes: number, seed: number): Uint8Array {
  const block = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) block[i] = (i * 31 + seed) & 255;
  return block;
}

function isPattern(block: Uint8Array, bytes: number, seed: number): boolean {
  return block.byteLength === bytes && Buffer.compare(block, pattern(bytes, seed)) === 0;
}

function failure(deed: () => unknown): { name: string; code: number; text: string } {
  try {
    deed();
  } catch (error) {
    if (error instanceof MpiError) {
      return { name: error.name, code: error.mpiCode, text: error.message };
    }
    if (error instanceof RangeError) return { name: error.name, code: 0, text: error.message };
    throw error;
  }
  return { name: "nothing was thrown", code: 0, text: "" };
}

const SIZES = [0, 1, 999, 1000, 1001, 1024, 1025, 3999, 4000, 4001, 4095, 4096, 4097, 1 << 20];

function pingPong(mpi: Mpi): unknown {
  const sound = SIZES.map((bytes) => {
    if (mpi.rank === 1) {
      const block = take(mpi);
      finish(mpi, mpi.send(block, block.byteLength, 0, TAG));
      return true;
    }
    const block = pattern(bytes, bytes);
    finish(mpi, mpi.send(block, bytes, 1, TAG));
    return isPattern(take(mpi), bytes, bytes) && status[0] === 1 && status[1] === TAG;
  });
  return { sound, pending: mpi.pending };
}

/** Neither side receives before both have begun to send. */
function bothWays(mpi: Mpi): unknown {
  const bytes = 20_000_000;
  const other = 1 - mpi.rank;
  const requests = [0, 1].map((n) => mpi.send(pattern(bytes, mpi.rank + n), bytes, other, n));
  const blocks = [new Uint8Array(bytes), new Uint8Array(bytes)];
  requests.push(...blocks.map((block, n) => mpi.receive(block, bytes, other, n)));
  for (const request of requests) finish(mpi, request);
  return { sound: blocks.map((block, n) => isPattern(block, bytes, other + n)) };
}

/** Many at once: more requests than the table begins with, in their order. */
function flood(mpi: Mpi): unknown {
  const count = 1000;
  const other = 1 - mpi.rank;
  const sent = Array.from({ length: count }, (_, i) => {
    const block = pattern(i % 2 ? 6000 : 900, i);
    return { block, request: mpi.send(block, block.byteLength, other, TAG) };
  });
  let sound = 0;
  for (let i = 0; i < count; i++) if (isPattern(take(mpi), i % 2 ? 6000 : 900, i)) sound++;
  for (const { request } of sent) finish(mpi, request);
  return { sound, pending: mpi.pending };
}

/** Small arrays that the engine is free to move while their requests are open. */
function moving(mpi: Mpi): unknown {
  if (mpi.rank === 1) {
    for (let i = 0; i < 200; i++) finish(mpi, mpi.send(pattern(500, i), 500, 0, i));
    return null;
  }
  const blocks = Array.from({ length: 200 }, () => new Uint8Array(500));
  const requests = blocks.map((block, i) => mpi.receive(block, 500, 1, i));
  Bun.gc(true);
  for (const block of blocks) void block.buffer;
  requests.forEach((request) => finish(mpi, request));
  return { sound: blocks.filter((block, i) => isPattern(block, 500, i)).length };
}

function looks(mpi: Mpi): unknown {
  const answers: unknown[] = [];
  if (mpi.rank === 0) {
    answers.push(mpi.wait({ ...LOOKS, totalUs: 2_000 }), mpi.probe(1, 7, status));
    // Only now may rank 1 send: an answer of true above would be a mistake.
    mpi.send(new Uint8Array(1), 1, 1, 1);
    while (!mpi.wait({ ...LOOKS, totalUs: 1_000_000 }));
    answers.push(mpi.probe(1, 8, status), mpi.probe(1, 7, status), Array.from(status));
    answers.push(mpi.probe(ANY, ANY, status));
    // Too large for this buffer, small as it is: it stays.
    answers.push(mpi.poll(new Uint8Array(10), status), mpi.poll(new Uint8Array(11), status));
  } else {
    take(mpi);
    finish(mpi, mpi.send(pattern(11, 0), 11, 0, 7));
  }
  return answers;
}

function mistakes(mpi: Mpi): unknown {
  const block = new Uint8Array(2000);
  const found = [
    failure(() => mpi.send(block, 2000, 99, TAG)),
    failure(() => mpi.receive(block, 2000, 99, TAG)),
    failure(() => mpi.send(block, -1, 0, TAG)),
    failure(() => mpi.send(block, 1, -1, TAG)),
    failure(() => mpi.test(0)),
    failure(() => mpi.test(12_345)),
    failure(() => mpi.test(-7)),
  ];
  found.push(failure(() => mpi.send(block, 2001, 0, TAG)));
  found.push(failure(() => mpi.receive(block, 2 ** 32 + 1, 0, TAG)));
  if (mpi.rank === 1) finish(mpi, mpi.send(block, 2000, 0, TAG));
  // One that is too long for the receive that waits for it.
  else found.push(failure(() => finish(mpi, mpi.receive(new Uint8Array(100), 100, 1, TAG))));
  return found;
}

function afterEnd(mpi: Mpi): unknown {
  mpi.finalize();
  mpi.finalize();
  const block = new Uint8Array(10);
  const calls = [
    () => mpi.poll(block, status),
    () => mpi.probe(0, 0, status),
    () => mpi.send(block, 1, 0, 0),
    () => mpi.receive(block, 1, 0, 0),
    () => mpi.test(1),
    () => mpi.wait({ totalUs: 0 }),
  ];
  const same = startMpi({ initTimeout: 0 }) === mpi;
  return { same, finalized: mpi.finalized, failures: calls.map(failure) };
}

/** A signal ends a nap: without it this one would take a minute. */
function interrupted(mpi: Mpi): unknown {
  const begin = performance.now();
  process.on("SIGUSR2", () => {});
  const child = Bun.spawn(["sh", "-c", `sleep 0.3; kill -USR2 ${process.pid}`]);
  const found = mpi.wait({ napUs: 60_000_000, totalUs: 60_000_000 });
  child.kill();
  return { found, early: performance.now() - begin < 30_000 };
}

/** A child that has nothing of the launcher is no rank, and may start a job of its own. */
function nested(): unknown {
  const env = { ...withoutLauncher(process.env), ...AS_ROOT };
  const self = [process.execPath, "run", Bun.main, "start"];
  const oversubscribe = option === "mpirun.openmpi" ? ["--oversubscribe"] : [];
  const results = [self, [option, ...oversubscribe, "-n", "2", ...self]].map((command) =>
    Bun.spawnSync(command, { env, stdout: "pipe", stderr: "inherit" }),
  );
  return results.map(({ exitCode, stdout }) => ({ exitCode, ...JSON.parse(stdout.toString()) }));
}

const [deed = "", option = ""] = process.argv.slice(2);
const rankHint = process.env["OMPI_COMM_WORLD_RANK"] ?? process.env["PMI_RANK"];

// A rank that lives, and never starts MPI.
if (deed === "never" && rankHint === "1") await new Promise(() => setInterval(() => {}, 60_000));

try {
  const mpi = startMpi({ initTimeout: deed === "never" ? Number(option) : 60_000 });
  const { rank, size, tagLimit, ranksOnHost, library } = mpi;
  const deeds: Record<string, () => unknown> = {
    start: () => ({ rank, size, tagLimit, ranksOnHost, library }),
    pingPong: () => pingPong(mpi),
    bothWays: () => bothWays(mpi),
    flood: () => flood(mpi),
    moving: () => moving(mpi),
    looks: () => looks(mpi),
    mistakes: () => mistakes(mpi),
    afterEnd: () => afterEnd(mpi),
    interrupted: () => (rank === 0 ? interrupted(mpi) : null),
    nested: () => (rank === 0 ? nested() : null),
    abort: () => (rank === 0 ? mpi.abort(7) : take(mpi)),
  };
  const result = deeds[deed]?.();
  if (rank === 0) console.log(JSON.stringify(result));
  mpi.finalize();
} catch (error) {
  if (!(error instanceof MpiError)) throw error;
  console.log(JSON.stringify({ rank: rankHint, name: error.name, message: error.message }));
  process.exitCode = 3;
}
