import { countOf, lengthOf, percentOf } from "../../watch/lengths.ts";
import type { Facts } from "./facts.ts";
import type { Slow } from "../../watch/slow.ts";

export type Kind =
  | "no tasks"
  | "few tasks"
  | "short tasks"
  | "long tail"
  | "slow worker"
  | "slow host"
  | "busy controller"
  | "late start"
  | "lost workers"
  | "failures"
  | "balanced";

/** One reason why workers were idle, or that there is none. */
export interface Verdict {
  readonly kind: Kind;
  readonly title: string;
  readonly text: string;
  /** The share of all workers' time that it took, from 0 to 1. */
  readonly cost: number;
}

/** The name of a worker or host for its key. */
export type Names = (key: string) => string;

/** A share of the time below which nothing is worth a word. */
const NOTEWORTHY = 0.05;

/** Of short calls the messages are what takes the time. */
const SHORT_MS = 1;

/** What kept the workers, the dearest first. */
export function verdictsOf(facts: Facts, names: Names): Verdict[] {
  if (facts.tasks === 0 || facts.spent.all <= 0) return [noTasks(facts)];
  const found = [
    fewTasks(facts),
    idleThoughWaiting(facts),
    longTail(facts, names),
    ...slow(facts, names),
    lateStart(facts),
  ].filter((one) => one !== null);
  found.sort((a, b) => b.cost - a.cost);
  const idle = 1 - facts.spent.busy / facts.spent.all;
  if (found.length === 0) found.push(balanced(facts, idle));
  return [...found, ...troubles(facts)];
}

function noTasks({ workers, isFinished }: Facts): Verdict {
  const cause = isFinished
    ? "The pool was given no task while the trace was written."
    : "The trace was cut off before the first task had ended.";
  const title = "No task ended";
  return { kind: "no tasks", title, text: `${cause} ${plural(workers, "worker")}.`, cost: 0 };
}

function balanced({ spent }: Facts, idle: number): Verdict {
  return {
    kind: "balanced",
    title: "The workers were kept busy",
    text:
      `Functions ran ${percentOf(spent.busy / spent.all)} of the workers' time. No single ` +
      `reason took more than ${NOTEWORTHY * 100} % of it: to be faster, the functions have to ` +
      "be, or there have to be more workers.",
    cost: idle,
  };
}

/** Workers without a task, apart from the end. */
function fewTasks({ spent, tasks, workers, used }: Facts): Verdict | null {
  const cost = (spent.starved - spent.tail) / spent.all;
  if (cost < NOTEWORTHY) return null;
  const least = `${percentOf(cost)} of the workers' time passed while no task was there for them.`;
  const text =
    used < workers
      ? `${least} ${plural(tasks, "task")} for ${plural(workers, "worker")}: ` +
        `${countOf(workers - used)} of these had none. Cut the work into more parts, or take ` +
        "fewer workers."
      : `${least} The program submits too few at a time, or waits for some before it submits ` +
        "the next: submit all that is known at once, or let a map take them.";
  return { kind: "few tasks", title: "Too few tasks", text, cost };
}

function idleThoughWaiting(facts: Facts): Verdict | null {
  const { spent, run, tasks, span, wait } = facts;
  const cost = spent.waiting / spent.all;
  if (cost < NOTEWORTHY) return null;
  const each = lengthOf(run.mean);
  if (run.mean < SHORT_MS) {
    const rate = countOf((1000 * tasks) / Math.max(span, 1e-3));
    return {
      kind: "short tasks",
      title: "The tasks are short",
      text:
        `A task ran ${each} in the mean, and ${rate} ended in a second: ${percentOf(cost)} of ` +
        "the workers' time went into sending tasks and results. Let a task do more, or give them " +
        "to map, which sends many at once.",
      cost,
    };
  }
  return {
    kind: "busy controller",
    title: "Tasks waited, and so did workers",
    text:
      `${percentOf(cost)} of the workers' time passed though tasks were waiting (a task waited ` +
      `${lengthOf(wait.mean)} in the mean, and ran ${each}). The program kept the controller ` +
      "busy with computing of its own, or there are more workers than cores, or arguments and " +
      "results are large; how large, a trace does not say: pool.stats() has bytesIn and " +
      "bytesOut of each worker.",
    cost,
  };
}

function longTail({ spent, final, run, span, before }: Facts, names: Names): Verdict | null {
  const cost = spent.tail / spent.all;
  if (cost < NOTEWORTHY || final === null) return null;
  const least =
    `${percentOf(cost)} of the workers' time lay behind their last task, while others still ` +
    "ran.";
  const { name, task, begin, length } = final;
  const which = `${name}${task === null ? "" : ` (task ${task})`} on ${names(final.worker)}`;
  if (final.isPiece) {
    const text =
      `${least} The last to end was ${which}, which had waited for tasks of its own: give these ` +
      "to more workers at once, or cut them.";
    return { kind: "long tail", title: "A long tail", text, cost };
  }
  const isLong = final.tasks === 1 && length > 3 * run.p50;
  const started = percentOf(Math.max(0, begin - before) / Math.max(span, 1e-9));
  const text = isLong
    ? `${least} The last to end was ${which}: it ran ${lengthOf(length)}, half of all tasks no ` +
      `longer than ${lengthOf(run.p50)}, and began at ${started} of the time. Submit the longest ` +
      "tasks first, or give them a higher priority, or cut them."
    : `${least} The last to end was ${which}, which ran ${lengthOf(length)}. Smaller tasks at ` +
      "the end, or more tasks for each worker, would fill it.";
  return { kind: "long tail", title: "A long tail", text, cost };
}

function slow({ slowWorkers, slowHosts, spent }: Facts, names: Names): Verdict[] {
  const verdict = (kind: "slow worker" | "slow host", all: readonly Slow[]): Verdict => {
    const shown = all
      .slice(0, 3)
      .map(
        ({ key, ratio, tasks }) =>
          `${names(key)} took ${ratio.toFixed(1)} times as long as the others for the same ` +
          `functions (${plural(tasks, "task")})`,
      )
      .join("; ");
    const more = all.length > 3 ? `; and ${plural(all.length - 3, "other")}` : "";
    const what = kind === "slow host" ? "host" : "worker";
    return {
      kind,
      title: all.length === 1 ? `One slow ${what}` : `${all.length} slow ${what}s`,
      text: `${shown}${more}. Look for what else runs there, for its clock rate and its memory.`,
      cost: all.reduce((sum, { lost }) => sum + lost, 0) / spent.all,
    };
  };
  if (slowHosts.length > 0) return [verdict("slow host", slowHosts)];
  return slowWorkers.length > 0 ? [verdict("slow worker", slowWorkers)] : [];
}

function lateStart({ before, after, span, workers }: Facts): Verdict | null {
  const outside = before + after;
  const cost = outside / (outside + span);
  if (cost < 2 * NOTEWORTHY || outside < 100) return null;
  return {
    kind: "late start",
    title: "The pool stood open without work",
    text:
      `${plural(workers, "worker")} had nothing to do for ${lengthOf(before)} before the first ` +
      `task and ${lengthOf(after)} after the last, of ${lengthOf(outside + span)} in all: what ` +
      "the program does by itself meanwhile runs on one core.",
    cost,
  };
}

function troubles({ failed, lost, tasks }: Facts): Verdict[] {
  const found: Verdict[] = [];
  if (lost > 0) {
    const which = plural(lost, "worker");
    const text = `${which} ended while the pool was open: the timeline shows when.`;
    found.push({ kind: "lost workers", title: "Workers were lost", text, cost: 0 });
  }
  if (failed > 0) {
    const text =
      `${countOf(failed)} of ${plural(tasks, "task")} failed (${percentOf(failed / tasks)}): the ` +
      "messages are below.";
    found.push({ kind: "failures", title: "Tasks failed", text, cost: 0 });
  }
  return found;
}

function plural(n: number, what: string): string {
  return `${countOf(n)} ${what}${n === 1 ? "" : "s"}`;
}
