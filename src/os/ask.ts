/**
 * Asks programs, of which anything may be wrong, something short: each has an end, with all that it
 * has started, and what it says is read as far as an answer may go.
 */
import { killDescendants, killGroup } from "./processes.ts";
import { own, performance } from "./natives.ts";

/** An answer of a few lines; and what a compiler has to say, which may be long. */
const MOST_BYTES = 1 << 20;

/** On `performance.now()`: when whoever asks has to be done with all of it. */
let overAt = Infinity;

/** From now on all that is asked, together, has so many ms. */
export function limitAll(ms: number): void {
  overAt = performance.now() + ms;
}

/** What is left for something that has `ms`; 0 when all time is over. */
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
 * @throws where it cannot be started.
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
    // A group of its own, to be ended as one.
    detached: true,
  });
  killGroup(result.pid);
  const { stdout, stderr, success, exitCode, signalCode } = result;
  const end = String(signalCode ?? `exit code ${exitCode}`);
  return { stdout: stdout.toString(), stderr: stderr.toString(), success, end };
}

/** Programs that run, with a group each: they are not to outlive this process. */
const running = new Set<Bun.Subprocess>();
let isWatching = false;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ends a program with all that it has started, as far as that can be found. */
export function endAll(child: Bun.Subprocess): void {
  if (child.exitCode === null && child.signalCode === null) killDescendants(child.pid);
  killGroup(child.pid);
}

/** Ends the program when this process ends, until it is over. */
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

/** Ends this process as the signal does where nobody listens. */
function endBy(signal: NodeJS.Signals): void {
  running.forEach(endAll);
  own.kill(process.pid, signal);
}
