/**
 * Jobs a second of `bsync multi`, beside `xargs -P` and GNU parallel where that is installed: each
 * starts `true` so many times, on all cores. They take turns, so that each sees the same machine.
 *
 * `bun bench/multi.ts [jobs] [rounds]`
 */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

const jobs = Number(process.argv[2] ?? 4_000);
const rounds = Number(process.argv[3] ?? 3);
const cores = availableParallelism();

const folder = await mkdtemp(join(tmpdir(), "bsync-bench-multi-"));
const input = join(folder, "input");
writeFileSync(input, Array.from({ length: jobs }, (_, i) => `${i}\n`).join(""));
const main = join(import.meta.dir, "../src/cli/main.ts");
const bsync = [process.execPath, main, "multi", "-a", input, "-j", String(cores)];

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** GNU parallel takes ten times as long: a share of the jobs will do. */
  readonly share: number;
}

const contenders: Contender[] = [
  { name: "bsync multi, started directly", command: [...bsync, "true"], share: 1 },
  { name: "bsync multi, by a shell", command: [...bsync, "true # {}"], share: 1 },
  {
    name: "xargs -P",
    command: ["xargs", "-a", input, "-P", String(cores), "-n", "1", "true"],
    share: 1,
  },
];
if (Bun.which("parallel") !== null) {
  const few = join(folder, "few");
  writeFileSync(few, Array.from({ length: Math.ceil(jobs / 8) }, (_, i) => `${i}\n`).join(""));
  const command = ["parallel", "--will-cite", "-a", few, "-j", String(cores), "true"];
  contenders.push({ name: "GNU parallel", command, share: 1 / 8 });
}

/** Jobs a second. */
async function measure({ command, share }: Contender): Promise<number> {
  const start = performance.now();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "inherit"] });
  const code = await child.exited;
  const seconds = (performance.now() - start) / 1_000;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with exit code ${code}`);
  return Math.ceil(jobs * share) / seconds;
}

const measured = new Map(contenders.map(({ name }) => [name, [] as number[]]));
for (let round = 0; round < rounds; round++) {
  for (const contender of contenders) {
    measured.get(contender.name)!.push(await measure(contender));
  }
}
await rm(folder, { recursive: true });

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
}

console.log(`${jobs} jobs of \`true\` on ${cores} cores, medians of ${rounds} rounds`);
for (const [name, all] of measured) {
  const rate = median(all);
  const perCore = (rate / cores).toFixed(0).padStart(6);
  console.log(`${name.padEnd(30)} ${rate.toFixed(0).padStart(6)}/s ${perCore}/s a core`);
}
