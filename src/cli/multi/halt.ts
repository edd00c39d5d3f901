/**
 * When a farm stops before its input ends, and with which exit code. Nothing here knows what a job
 * is: its outcomes come in, verdicts go out.
 */

export type When = "now" | "soon";
type What = "fail" | "success" | "done";

export interface HaltPolicy {
  readonly when: When;
  readonly what: What;
  readonly value: number;
  readonly isPercentage: boolean;
}

/** The policy in a text as "now,fail=1"; null for "never"; undefined if it is none. */
export function haltPolicy(text: string): HaltPolicy | null | undefined {
  // GNU parallel's older forms.
  if (text === "never" || text === "0") return null;
  if (text === "1") return haltPolicy("soon,fail=1");
  if (text === "2") return haltPolicy("now,fail=1");
  const found = /^(now|soon),(fail|success|done)=(\d+)(%?)$/.exec(text);
  if (found === null || Number(found[3]) === 0) return undefined;
  const [, when, what, value, percent] = found;
  if (percent === "%" && Number(value) > 100) return undefined;
  return {
    when: when as When,
    what: what as What,
    value: Number(value),
    isPercentage: percent === "%",
  };
}

export interface Tally {
  readonly failed: number;
  readonly succeeded: number;
}

/** The status of a job that ended well, but for its output. */
const NO_STATUS = 255;

/** The exit status of a job, as a shell has it. */
export function statusOf({ exit, signal }: { exit: number; signal: number }): number {
  if (signal > 0) return 128 + signal;
  return exit < 0 ? NO_STATUS : exit;
}

/**
 * Whether a policy is met now; then also the farm's exit code. `status` is that of the job that
 * ended last, `total` the number of jobs, or of those known so far.
 */
export function verdict(
  policy: HaltPolicy,
  tally: Tally,
  status: number,
  total: number,
): { exitCode: number } | null {
  const { failed, succeeded } = tally;
  const counts = { fail: failed, success: succeeded, done: failed + succeeded };
  const count = counts[policy.what];
  const isLast = (policy.what === "fail") === (status !== 0) || policy.what === "done";
  if (!isLast) return null;
  if (policy.isPercentage) {
    const percent = (100 * count) / Math.max(total, 1);
    if (percent < policy.value) return null;
    return { exitCode: policy.what === "fail" ? Math.floor(percent) : codeOf(failed, policy) };
  }
  if (count < policy.value) return null;
  if (policy.what === "success") return { exitCode: 0 };
  if (policy.what === "fail" && policy.value === 1) return { exitCode: Math.min(status, 255) };
  return { exitCode: codeOf(failed, policy) };
}

function codeOf(failed: number, { what }: HaltPolicy): number {
  return what === "success" ? 0 : exitCodeFor(failed);
}

/** GNU parallel's codes: how many failed, and 101 for more than 100. */
const MOST_COUNTED = 100;

/** The exit code of a farm that ran to its end. */
export function exitCodeFor(failed: number): number {
  return failed > MOST_COUNTED ? MOST_COUNTED + 1 : failed;
}
