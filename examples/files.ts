/**
 * Five hundred small files, each through a child program: `gzip`. A worker has nothing to do while
 * it waits for a child, so `concurrency` gives it several files at a time.
 *
 *   bun run examples/files.ts
 *   mpirun -n 4 bun run examples/files.ts 500 /scratch/files
 *
 * Files lie in a folder that workers of all hosts see: by default a temporary one, for one host,
 * which is removed in the end.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AsyncPool, taskContext } from "../index.ts";

const AT_ONCE = 4;
const LINES = 200;
const MAX = 100_000;

/** Compresses a file, and gives its lengths in bytes before and after. */
export async function compress(path: string): Promise<{ before: number; after: number }> {
  await using child = Bun.spawn(["gzip", "--keep", "--force", path], {
    stdio: ["ignore", "ignore", "pipe"],
    signal: taskContext().signal, // a task that is given up takes its child along
  });
  const complaint = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`gzip ${path}: ${complaint.trim()}`);
  return { before: Bun.file(path).size, after: Bun.file(`${path}.gz`).size };
}

/** Writes the files, and yields the path of each as soon as it is there. */
async function* written(folder: string, count: number) {
  for (let i = 0; i < count; i++) {
    const path = join(folder, `${i}.log`);
    const lines = Array.from({ length: LINES }, (_, n) => `${i}.${n} ok ${(i * n) % 997}\n`);
    await Bun.write(path, lines.join(""));
    yield path;
  }
}

async function main(count: number, folder?: string): Promise<void> {
  await using pool = await AsyncPool.open(undefined, { concurrency: AT_ONCE });
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (!Number.isInteger(count) || count < 1 || count > MAX) {
    console.error("usage: bun run examples/files.ts [count [folder]]   (1 to 100000 files)");
    process.exitCode = 2;
    return;
  }

  const start = performance.now();
  const place = folder ?? (await mkdtemp(join(tmpdir(), "bsync-files-")));
  try {
    await mkdir(place, { recursive: true });
    let [before, after] = [0, 0];
    for await (const file of pool.map(compress, written(place, count))) {
      before += file.before;
      after += file.after;
    }
    const seconds = (performance.now() - start) / 1000;
    console.log(`${count} files: ${before} bytes, compressed ${after}`);
    console.log(`${pool.size} workers with ${AT_ONCE} files each, ${seconds.toFixed(3)} s`);
  } finally {
    if (folder === undefined) await rm(place, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [count = "500", folder] = process.argv.slice(2);
  await main(Number(count), folder);
}
