/** One round of chaos: a plan made of random numbers, carried out, and every handle judged. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  CancelledError,
  type MessageHandle,
  taskContext,
  TimeoutError,
  usingMpi,
  ValueError,
  WorkerLostError,
} from "../../index.ts";
import { Random } from "../fuzz/random.ts";

/** How many handles ended in each way. */
export type Tally = Record<string, number>;

export interface Round {
  readonly seed: number;
  readonly round: number;
  /** Where the tasks of this round leave their marks. */
  readonly folder: string;
  /** The most workers a pool may have. */
  readonly workers: number;
  /** As for `AsyncPool.open`. */
  readonly isolate: boolean;
  readonly tally: Tally;
  /** Given, once there is a pool, who can say what the round is at. */
  watch(tell: () => string): void;
}

/** What a task does after it has left its mark. */
type Deed =
  | "square"
  | "echo"
  | "rest"
  | "block"
  | "nest"
  | "throw"
  | "refuse"
  | "loop"
  | "never"
  | "exit"
  | "kill"
  | "quick"
  | "hold";

interface CallStep {
  readonly do: "call";
  readonly deed: Deed;
  readonly x: number;
  readonly timeout: number | undefined;
  readonly priority: number;
  readonly retries: number;
  /** Index of an AbortSignal of the round; null for none. */
  readonly signal: number | null;
}

type Step =
  | CallStep
  | { readonly do: "cancel" | "ready" | "getSync"; readonly which: number }
  | { readonly do: "abort"; readonly which: number }
  | { readonly do: "signal"; readonly worker: number; readonly signal: string }
  | { readonly do: "go on" }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "settle"; readonly count: number };

interface Plan {
  readonly workers: number;
  readonly steps: readonly Step[];
  readonly end: "close" | "terminate";
}

const SIGNALS = 3;

/** Tasks that take their process along, where that is possible. */
const DEADLY: readonly Deed[] = ["exit", "kill"];

function planOf({ seed, round, workers, isolate }: Round): Plan {
  const random = new Random(seed, round);
  const mortal = isolate || !usingMpi();
  // Some rounds without a death, in which all has to go well.
  const deadly = mortal && !random.oneIn(4);
  const steps: Step[] = [];
  const deeds: Deed[] = ["square", "square", "square", "echo", "rest", "block", "throw", "refuse"];
  deeds.push("nest", "nest");
  const call = (): CallStep => {
    const wild = random.oneIn(10);
    const deed = random.pick<Deed>(wild ? ["loop", "never", ...(deadly ? DEADLY : [])] : deeds);
    // What does not end by itself has to be ended.
    const endless = deed === "loop" || deed === "never";
    const timed = endless || random.oneIn(6);
    return {
      do: "call",
      deed,
      x: random.below(1_000),
      timeout: timed ? random.pick([1, 10, 40]) : undefined,
      priority: random.oneIn(5) ? random.below(5) - 2 : 0,
      retries: random.oneIn(5) ? 1 + random.below(2) : 0,
      signal: random.oneIn(8) ? random.below(SIGNALS) : null,
    };
  };
  // Short calls of one function, sent behind one another; in some rounds one of them takes its time.
  let holds = random.oneIn(10) ? 2 : 0;
  const burst = () => {
    const plain = { timeout: undefined, priority: 0, retries: 0, signal: null } as const;
    for (let left = 20 + random.below(60); left > 0; left--) {
      const deed = random.oneIn(100) && holds-- > 0 ? "hold" : "quick";
      steps.push({ do: "call", deed, x: random.below(1_000), ...plain });
    }
  };
  for (let count = 30 + random.below(90); count > 0; count--) {
    if (random.oneIn(20)) burst();
    const dice = random.below(40);
    if (dice < 24) steps.push(call());
    else if (dice < 28) steps.push({ do: "cancel", which: random.word() });
    else if (dice < 29) steps.push({ do: "ready", which: random.word() });
    else if (dice < 30) steps.push({ do: "getSync", which: random.word() });
    else if (dice < 31) steps.push({ do: "abort", which: random.below(SIGNALS) });
    else if (dice < 33) steps.push({ do: "signal", worker: random.word(), signal: "SIGSTOP" });
    else if (dice < 34) steps.push({ do: "go on" });
    else if (dice < 36) steps.push({ do: "sleep", ms: random.below(5) });
    else if (dice < 38 || !deadly) steps.push({ do: "settle", count: random.below(8) });
    else {
      const signal = random.pick(["SIGKILL", "SIGTERM", "SIGHUP"]);
      steps.push({ do: "signal", worker: random.word(), signal });
    }
  }
  const end = random.oneIn(3) ? "terminate" : "close";
  return { workers: 1 + random.below(workers), steps, end };
}

/** The task of every call. */
export async function run(marks: string, id: number, deed: Deed, x: unknown): Promise<unknown> {
  appendFileSync(marks, `${id}\n`);
  switch (deed) {
    case "square":
      return (x as number) ** 2;
    case "echo":
      return x;
    case "rest":
      await new Promise((resolve) => setTimeout(resolve, (x as number) % 10));
      return x;
    case "block":
      Bun.sleepSync((x as number) % 6);
      return x;
    case "nest":
      return await descend((x as number) % 4, x as number);
    case "throw":
      throw new RangeError(`threw ${x as number}`);
    case "refuse":
      return Symbol("it cannot travel");
    case "loop":
      for (;;);
    case "never":
      return await new Promise(() => {});
    case "exit":
      process.exit((x as number) % 2);
    // falls through, if it could
    case "kill":
      process.kill(process.pid, "SIGKILL");
      for (;;) Bun.sleepSync(10);
    // falls through, if it could
    case "quick":
    case "hold":
      throw new Error("these have a function of their own");
  }
}

/** Waits for two tasks of its own, down to some depth: `x`, if they all end as they should. */
export async function descend(depth: number, x: number): Promise<number> {
  if (depth === 0) return x;
  const { pool } = taskContext();
  const below = await Promise.all([0, 1].map(() => pool.async(descend, depth - 1, x)));
  return below.every((value) => value === x) ? x : NaN;
}

/** The task of calls that are short: the `ms` are of the one that is not. */
export function runQuick(marks: string, id: number, x: number, ms: number): number {
  appendFileSync(marks, `${id}\n`);
  if (ms > 0) Bun.sleepSync(ms);
  return x;
}

/** ms that a worker is held: some looks of the controller's long. */
const holdMs = (x: number) => 1_500 + 2 * x;

function argumentOf({ deed, x }: CallStep): unknown {
  return deed === "echo" ? new Uint8Array(x * 150).fill(x) : x;
}

interface Entry {
  readonly id: number;
  readonly step: CallStep;
  readonly handle: MessageHandle<unknown>;
  /** How often it was settled, as its promise tells. */
  settled: number;
  /** What `cancel` and `abort` have made certain. */
  certain: "cancelled" | "aborted" | null;
}

export async function playRound(round: Round): Promise<void> {
  const plan = planOf(round);
  const marks = join(round.folder, "marks");
  writeFileSync(marks, "");
  const pool = await AsyncPool.open(plan.workers, { isolate: round.isolate });
  const aborters = Array.from({ length: SIGNALS }, () => new AbortController());
  const entries: Entry[] = [];
  const stopped = new Set<number>();
  const pids = new Set<number>();
  const note = () => {
    for (const { pid } of pool.workers) pids.add(pid);
  };
  const goOn = () => {
    for (const pid of stopped) send(pid, "SIGCONT");
    stopped.clear();
  };
  round.watch(() => {
    const open = entries.filter(({ settled }) => settled === 0);
    const calls = open.map(({ id, step, handle }) => [id, handle.state, handle.worker, step.deed]);
    return `${JSON.stringify(pool.workers)}, calls ${JSON.stringify(calls)}`;
  });
  let settled = 0;
  let deaths = 0;
  let broken = false;

  const submit = (step: CallStep): void => {
    const id = entries.length;
    const signal = step.signal === null ? null : aborters[step.signal]!.signal;
    const { timeout, priority, retries } = step;
    const view = pool.with({
      priority,
      retries,
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === null ? {} : { signal }),
    });
    if (DEADLY.includes(step.deed)) deaths++;
    let handle: MessageHandle<unknown>;
    try {
      const { deed, x } = step;
      if (deed === "quick" || deed === "hold") {
        handle = view.async(runQuick, marks, id, x, deed === "hold" ? holdMs(x) : 0);
      } else handle = view.async(run, marks, id, deed, argumentOf(step));
    } catch (error) {
      // Workers that died one after the other before they had served.
      if (!(error instanceof WorkerLostError) || deaths < 3) throw error;
      broken = true;
      return;
    }
    const entry: Entry = {
      id,
      step,
      handle,
      settled: 0,
      certain: signal?.aborted ? "aborted" : null,
    };
    entries.push(entry);
    const count = () => {
      entry.settled++;
      settled++;
    };
    handle.then(count, count);
  };

  for (const step of plan.steps) {
    note();
    if (broken) break;
    switch (step.do) {
      case "call":
        submit(step);
        break;
      case "cancel": {
        const entry = entries[step.which % entries.length];
        if (entry?.handle.cancel(`step of entry ${entry.id}`)) entry.certain = "cancelled";
        break;
      }
      case "ready":
        entries[step.which % entries.length]?.handle.ready();
        break;
      case "getSync":
        try {
          entries[step.which % entries.length]?.handle.getSync({ timeout: 20 });
        } catch {
          // Judged in the end, with all the others.
        }
        break;
      case "abort":
        for (const entry of entries) {
          const isSettled = entry.handle.state !== "queued" && entry.handle.state !== "running";
          if (entry.step.signal === step.which && !isSettled) entry.certain = "aborted";
        }
        aborters[step.which]!.abort(`round ${round.round}`);
        break;
      case "signal": {
        const { pid } = pool.workers[step.worker % pool.size]!;
        if (pid === 0) break;
        if (step.signal === "SIGSTOP") stopped.add(pid);
        else deaths++;
        send(pid, step.signal);
        break;
      }
      case "go on":
        goOn();
        break;
      case "sleep":
        await Bun.sleep(step.ms);
        break;
      case "settle": {
        goOn();
        const goal = Math.min(settled + step.count, entries.length);
        while (settled < goal) await Bun.sleep(1);
      }
    }
  }
  goOn();
  note();
  await pool[plan.end]();
  // Promises tell in the turn after.
  await new Promise((resolve) => setImmediate(resolve));
  const runs = countMarks(marks, entries.length);
  for (const entry of entries) await judge(entry, runs[entry.id]!, plan, deaths > 0, round.tally);
  if (usingMpi() && !round.isolate) return;
  for (let tries = 0; [...pids].some((pid) => existsSync(`/proc/${pid}`)); tries++) {
    if (tries > 2_000) throw new Error("workers of a pool that is over are still there");
    await Bun.sleep(1);
  }
}

async function judge(
  entry: Entry,
  runs: number,
  plan: Plan,
  deadly: boolean,
  tally: Tally,
): Promise<void> {
  const { id, step, handle, certain } = entry;
  const fail = (what: string): never => {
    const { state } = handle;
    throw new Error(`call ${id} (${JSON.stringify(step)}, ${state}, run ${runs} times): ${what}`);
  };
  if (entry.settled !== 1) fail(`its promise was settled ${entry.settled} times`);
  const [first, second] = await Promise.allSettled([handle.get(), handle.get()]);
  if (first!.status !== second!.status) fail("it tells different things");
  const truth = truthOf(handle, first!, step, fail);
  tally[truth] = (tally[truth] ?? 0) + 1;
  if (certain !== null && truth !== certain) fail(`it was ${certain}, and is ${truth}`);
  if (runs > 1 + step.retries) fail("it was run too often");
  if ((truth === "done" || truth === "threw") && runs === 0) fail("it was never run");
  const allowed =
    truth === "done" ||
    truth === "threw" ||
    truth === "refused" ||
    (truth === "timeout" && step.timeout !== undefined) ||
    (truth === "lost" && deadly) ||
    (truth === "cancelled" && (certain === "cancelled" || plan.end === "terminate")) ||
    (truth === "aborted" && certain === "aborted");
  if (!allowed) fail(`nothing led to ${truth}`);
}

function truthOf(
  handle: MessageHandle<unknown>,
  result: PromiseSettledResult<unknown>,
  step: CallStep,
  fail: (what: string) => never,
): string {
  const { deed, x } = step;
  const { state } = handle;
  if (result.status === "fulfilled") {
    if (state !== "done") fail("it has a value, and is not done");
    const { value } = result;
    const isRight =
      deed === "echo"
        ? value instanceof Uint8Array &&
          value.length === x * 150 &&
          value.every((byte) => byte === x % 256)
        : deed === "square"
          ? value === x ** 2
          : ["rest", "block", "nest", "quick", "hold"].includes(deed) && value === x;
    if (!isRight) fail(`its value is ${Bun.inspect(value).slice(0, 200)}`);
    return "done";
  }
  const { reason } = result;
  if (state === "cancelled") {
    if (reason instanceof CancelledError) return "cancelled";
    if (typeof reason === "string" && reason.startsWith("round ")) return "aborted";
    return fail(`it was cancelled with ${Bun.inspect(reason)}`);
  }
  if (state !== "failed") fail(`it rejects, and is ${state}`);
  if (reason instanceof TimeoutError) return "timeout";
  if (reason instanceof WorkerLostError) return "lost";
  if (reason instanceof ValueError && deed === "refuse") return "refused";
  if (deed === "throw" && reason instanceof RangeError && reason.message === `threw ${x}`) {
    return "threw";
  }
  return fail(`it failed with ${Bun.inspect(reason)}`);
}

/** How often each call was run. */
function countMarks(marks: string, calls: number): number[] {
  const runs = Array.from({ length: calls }, () => 0);
  for (const line of readFileSync(marks, "utf8").split("\n"))
    if (line !== "") runs[Number(line)]!++;
  return runs;
}

function send(pid: number, signal: string): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
