/**
 * Asks programs a short question. Anything may be wrong with a program: so each is ended, with all
 * processes it started, and only so much of its answer is read.
 */
import { killDescendants, killGroup } from "./processes.ts";
import { own, performance } from "./natives.ts";

/** For an answer of a few lines, and for a compiler's output, which may be long. */
const MOST_BYTES = 1 << 20;

/** On `performance.now()`: when all questions together must be over. */
let overAt = Infinity;

/** Limits all further questions together to so many ms. */
export function limitAll(ms: number): void {
  overAt = performance.now() + ms;
}

/** The time left for a question that has `ms`; 0 when all time is over. */
export function timeFor(ms: number): number {
  return Math.max(0, Math.min(ms, overAt - performance.now()));
}

export interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly success: boolean;
  /** As "SIGKILL", or "exit code 1". */
  readonly end: string;
}

/**
 * Waits for the end of a program, `limitMs` at most.
 *
 * @throws if it cannot be started.
 */
export function ask(
  command: string[],
  limitMs: number,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Answer {
  const timeout = Math.ceil(timeFor(limitMs));
  if (timeout === 0) return { stdout: "", stderr: "", success: false, end: "no time left" };
  const result = Bun.spawnSync(command, {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout,
    maxBuffer: MOST_BYTES,
    killSignal: "SIGKILL",
    // A group of its own, so that it can be ended as one.
    detached: true,
  });
  killGroup(result.pid);
  const { stdout, stderr, success, exitCode, signalCode } = result;
  const end = String(signalCode ?? `exit code ${exitCode}`);
  return { stdout: stdout.toString(), stderr: stderr.toString(), success, end };
}

/** Running programs, each in a group of its own: they must not outlive this process. */
const running = new Set<Bun.Subprocess>();
let isWatching = false;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ends a program with all processes it started, as far as these can be found. */
export function endAll(child: Bun.Subprocess): void {
  if (child.exitCode === null && child.signalCode === null) killDescendants(child.pid);
  killGroup(child.pid);
}

/** Ends the program when this process ends, until disposed. */
export function endWithThis(child: Bun.Subprocess): Disposable {
  running.add(child);
  if (!isWatching) {
    isWatching = true;
    own.on("exit", () => running.forEach(endAll));
    for (const signal of SIGNALS) own.once(signal, endBy);
  }
  return {
    [Symbol.dispose]: () => {
      running.delete(child);
      endAll(child);
    },
  };
}

/** Ends this process as the signal does if nobody listens. */
function endBy(signal: NodeJS.Signals): void {
  running.forEach(endAll);
  own.kill(process.pid, signal);
}
