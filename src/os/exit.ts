/** Signals for a fault of the process's own code, or of code it has loaded. */
const CRASHES = new Set(["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS"]);

/** The end of a rank that was not dismissed. */
export const PROGRAM_OVER: ExitStatus = {
  exitCode: null,
  signal: null,
  text: "came to the end of its program",
  cause:
    "a rank serves a pool while it waits in AsyncPool.open: let it wait there until the pool is " +
    "closed",
};

/**
 * A guess, for people, at what ended a worker, by exit code and signal. No thrown error ends a
 * worker, so one that exits was told to.
 */
export function explainExit(
  { exitCode, signal }: Pick<ExitStatus, "exitCode" | "signal">,
  what = "the task, or something that an earlier one left behind,",
): string {
  if (exitCode !== null) return `${what} may have called process.exit(${exitCode})`;
  if (signal === null) return "nobody has told how it ended";
  if (signal === "SIGKILL") {
    return (
      "the machine, or its control group, may have run out of memory (dmesg would tell), or " +
      "somebody killed it"
    );
  }
  if (CRASHES.has(signal)) {
    return (
      "native code may have crashed: an addon, bun:ffi, or Bun itself, as it does when its " +
      "memory is full"
    );
  }
  if (signal === "SIGXCPU") return "it was at its limit of CPU time (ulimit -t)";
  if (signal === "SIGXFSZ") return "it was at its limit for the size of a file (ulimit -f)";
  return `somebody, or the task itself, sent it ${signal}`;
}

/** How a worker's process ended, as far as known. */
export interface ExitStatus {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** For a person: "exited with code 3", "was killed by SIGKILL". */
  readonly text: string;
  /** The likely cause; if left out, exit code and signal tell. */
  readonly cause?: string;
}

/** The end of a worker if only `text` is known. */
export function unknownExit(text: string): ExitStatus {
  return { exitCode: null, signal: null, text };
}
