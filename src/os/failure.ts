/**
 * What Bun does about a rejection that nobody handles: `--unhandled-rejections`, "bun" where
 * nothing is said.
 */
export type RejectionMode = "bun" | "strict" | "throw" | "warn" | "none" | "warn-with-error-code";

const FLAG = "--unhandled-rejections";

/** That of this process. */
export function rejectionMode(flags: readonly string[] = process.execArgv): RejectionMode {
  let mode = "bun";
  for (const [i, flag] of flags.entries()) {
    if (flag === FLAG) mode = flags[i + 1] ?? mode;
    else if (flag.startsWith(`${FLAG}=`)) mode = flag.slice(FLAG.length + 1);
  }
  return mode as RejectionMode;
}

/**
 * Whether an error that nobody caught has failed this program, which Bun ends as soon as nothing is
 * due at once.
 */
export let hasFailed = false;

export function tellFailed(): void {
  hasFailed = true;
}

/** Errors that are thrown to end a run of a module, and are no failure of the program. */
const stops = new WeakSet<Error>();

export function addStop(error: Error): void {
  stops.add(error);
}

/** Whether an error is one of those, which nobody is told of. */
export function isStop(error: unknown): boolean {
  return stops.has(error as Error);
}
