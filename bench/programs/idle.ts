/**
 * What each process of a pool takes of a core over three seconds: when there is nothing to do, and
 * while one long task is awaited (it sleeps, so that all that is seen is the waiting).
 */
import { readFileSync } from "node:fs";
import { AsyncPool } from "../../index.ts";
import { report } from "./report.ts";

const WATCHED_MS = 3_000;
/** After something has happened, until a pool may be called idle. */
const SETTLE_MS = 500;
/** USER_HZ, which is what Linux has told programs on every machine for decades. */
const TICKS_PER_SECOND = 100;

function same(x: number): number {
  return x;
}

async function sleepLong(ms: number): Promise<void> {
  await Bun.sleep(ms);
}

/** Seconds of processor time that a process and its threads have had. */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may hold spaces: fields count from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Percent of a core, for each process. */
async function watch(pids: readonly number[]): Promise<number[]> {
  const before = pids.map(cpuSeconds);
  const start = performance.now();
  await Bun.sleep(WATCHED_MS);
  const seconds = (performance.now() - start) / 1e3;
  return pids.map((pid, i) => ((cpuSeconds(pid) - before[i]!) / seconds) * 100);
}

await using pool = await AsyncPool.open(1);
for (let i = 0; i < 2000; i++) await pool.async(same, i);
const pids = [process.pid, pool.workers[0]!.pid];

await Bun.sleep(SETTLE_MS);
const [idleController, idleWorker] = await watch(pids);
const long = pool.async(sleepLong, WATCHED_MS + 2 * SETTLE_MS);
await Bun.sleep(SETTLE_MS);
const [waitingController, waitingWorker] = await watch(pids);
await long;
report({
  idleController: idleController!,
  idleWorker: idleWorker!,
  waitingController: waitingController!,
  waitingWorker: waitingWorker!,
});
