/** Bun's reaction to an unhandled rejection: `--unhandled-rejections`, "bun" without the flag. */
export type RejectionMode = "bun" | "strict" | "throw" | "warn" | "none" | "warn-with-error-code";

const FLAG = "--unhandled-rejections";

/** The mode of this process. */
export function rejectionMode(flags: readonly string[] = process.execArgv): RejectionMode {
  let mode = "bun";
  for (const [i, flag] of flags.entries()) {
    if (flag === FLAG) mode = flags[i + 1] ?? mode;
    else if (flag.startsWith(`${FLAG}=`)) mode = flag.slice(FLAG.length + 1);
  }
  return mode as RejectionMode;
}

/**
 * Whether an uncaught error has failed this program, which Bun ends as soon as nothing more is due
 * at once.
 */
export let hasFailed = false;

export function noteFailed(): void {
  hasFailed = true;
}

/** Errors that are thrown to end the run of a module, not failures of the program. */
const stops = new WeakSet<Error>();

export function addStop(error: Error): void {
  stops.add(error);
}

/** Whether an error is one of those; they are not reported. */
export function isStop(error: unknown): boolean {
  return stops.has(error as Error);
}
