/** Programs run to their end or to the end of their time; nothing of them outlives the benchmark. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, sep } from "node:path";

/** In the environment of everything that is started here, however deep: by it they are found. */
const MARK = `BSYNC_BENCH_RUN=${process.pid}.${Date.now()}`;
/** Paths are told from here. */
const ROOT = join(import.meta.dir, "../..", sep);
/** Between the request to end and the end. */
const GRACE_MS = 2_000;

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a program found; or that what it needs isn't here; or that it failed. */
export type Outcome =
  | { readonly found: Readonly<Record<string, readonly number[]>> }
  | { readonly missing: string }
  | { readonly failed: string };

export interface Limits {
  readonly seconds: number;
  readonly env?: Environment;
  readonly cwd?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly late: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command. Past its time it is asked to end, then made to, with all that it started. */
export async function run(command: readonly string[], limits: Limits): Promise<Ended> {
  const [name, value] = MARK.split("=") as [string, string];
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...limits.env, [name]: value },
    ...(limits.cwd === undefined ? {} : { cwd: limits.cwd }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let late = false;
  const asking = setTimeout(() => {
    late = true;
    child.kill("SIGTERM");
  }, limits.seconds * 1e3);
  const making = setTimeout(endAll, limits.seconds * 1e3 + GRACE_MS);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  clearTimeout(asking);
  clearTimeout(making);
  return { code: child.exitCode, late, stdout, stderr };
}

/** Runs a program whose last line of output is JSON: what it found. */
export async function measure(command: readonly string[], limits: Limits): Promise<Outcome> {
  let ended: Ended;
  try {
    ended = await run(command, limits);
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
  if (ended.late) return { failed: `not done after ${limits.seconds} s` };
  const line = ended.stdout.trimEnd().split("\n").at(-1) ?? "";
  const data = parse(line);
  if (typeof data?.["missing"] === "string") return { missing: data["missing"] };
  if (ended.code !== 0 || data === null) return { failed: reasonOf(ended) };
  const found: Record<string, readonly number[]> = {};
  for (const [key, value] of Object.entries(data)) {
    const numbers: unknown[] = Array.isArray(value) ? value : [value];
    found[key] = numbers.filter((number) => typeof number === "number");
  }
  return { found };
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const data: unknown = JSON.parse(line);
    return typeof data === "object" && data !== null ? (data as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The line that says most, of what a program said before it failed. */
function reasonOf({ code, stderr }: Ended): string {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /\w/.test(line));
  const line = lines.find((text) => /error|cannot|no module|not found/i.test(text)) ?? lines[0];
  const module = /No module named '?([A-Za-z0-9_]+)/.exec(stderr)?.[1];
  if (module !== undefined) return `there is no Python module ${module} here`;
  const ended = code === null ? "killed by a signal" : `exit code ${code}`;
  return line === undefined ? ended : `${ended}: ${line.replaceAll(ROOT, "").slice(0, 120)}`;
}

/** Processes that were started here and have not ended. */
export function leftOver(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(MARK);
      } catch {
        return false; // It has ended, or is somebody else's.
      }
    })
    .map(Number);
}

/** Ends all that was started here; how many there were. */
export function endAll(): number {
  const pids = leftOver();
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  return pids.length;
}

/** Nothing goes on when the benchmark is interrupted. */
export function endWithThis(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      endAll();
      process.exit(code);
    });
  }
  process.on("exit", endAll);
}

/** What other processes take of the machine: name and percent of a core, over a second. */
export async function busyStrangers(): Promise<string[]> {
  const before = processorTicks();
  await Bun.sleep(1_000);
  const strangers: { name: string; percent: number }[] = [];
  for (const [pid, { name, ticks }] of processorTicks()) {
    const percent = ticks - (before.get(pid)?.ticks ?? ticks);
    if (pid !== process.pid && percent >= 5) strangers.push({ name, percent });
  }
  strangers.sort((a, b) => b.percent - a.percent);
  return strangers.map(({ name, percent }) => `${name} ${percent} %`);
}

/** Of each process that is a program (kernel threads have none): ticks of 10 ms so far. */
function processorTicks(): Map<number, { name: string; ticks: number }> {
  const all = new Map<number, { name: string; ticks: number }>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      readlinkSync(`/proc/${pid}/exe`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      all.set(Number(pid), {
        name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
        ticks: Number(fields[11]) + Number(fields[12]),
      });
    } catch {
      // It has ended, or may not be looked at.
    }
  }
  return all;
}
