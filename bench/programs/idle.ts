/**
 * What each process of a pool takes of a core over two seconds: when there is nothing to do, and
 * while one long task is awaited (it sleeps, so that all that is seen is the waiting).
 */
import { readdirSync, readFileSync } from "node:fs";
import { AsyncPool } from "../../index.ts";
import { report } from "./report.ts";

const WATCHED_MS = 2_000;
/** After something has happened, until a pool may be called idle. */
const SETTLE_MS = 500;

function same(x: number): number {
  return x;
}

async function sleepLong(ms: number): Promise<void> {
  await Bun.sleep(ms);
}

/** ns of processor time that a thread has had: the first field of `schedstat`. 0 for one that has just ended. */
function cpuTime(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    return 0;
  }
}

/** Seconds of processor time that a process's threads have had. */
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + cpuTime(pid, thread), 0) / 1e9;
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
for (let i = 0; i < 1000; i++) await pool.async(same, i);
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
