/**
 * What becomes of a task, by the state it is in when something goes wrong. Everything in the table is
 * played, in each way to start a program: real processes, real signals, real MPI.
 *
 * In each cell a second worker is busy with a task of its own, and two tasks wait: these must not
 * notice (but where the whole pool is ended); afterwards every worker takes tasks again, and
 * nothing is left behind.
 *
 * The states: starting, the worker runs its initializer, and the task comes after; idle, it has nothing
 * to do, and the task comes after; queued, the task waits for the worker, which runs another one; behind,
 * it was sent to it already; loading, its module is being loaded; sync, async, native, it runs, in a
 * loop, waiting for a promise, in one native call; replying, its result is being encoded; answering, its
 * answer is on its way; answered, it has arrived; overdue, it was cancelled, and runs on; retried,
 * it runs, with retries 1; waiting, it waits for a task that it has submitted, which runs on its worker.
 */
import { type Case, type Options, Subject } from "../contract/case.ts";
import { Stage } from "./stage.ts";

export type State =
  | "starting"
  | "idle"
  | "queued"
  | "behind"
  | "loading"
  | "sync"
  | "async"
  | "native"
  | "replying"
  | "answering"
  | "answered"
  | "overdue"
  | "retried"
  | "waiting";

/**
 * How the task ends: done, with its value; thrown, with the error it threw; refused, with a ValueError; lost, timeout, cancelled, with the error of that name; reason, with that of its signal.
 */
export type Truth = "done" | "thrown" | "refused" | "lost" | "timeout" | "cancelled" | "reason";

/** A signal for the worker process; its `process.exit`; bytes over all that it shares; or a deed. */
export type Fault = string;

/** What a worker comes to that is a process of its own: a local one, or a rank's child. */
const DEATHS = `
               starting idle queued behind loading sync async native replying answering answered overdue   retried  waiting
SIGKILL        done     done done   done   done    lost lost  lost   lost     lost      done     cancelled done     lost
SIGSEGV        done     done done   done   done    lost lost  lost   lost     lost      done     cancelled done     lost
SIGTERM        done     done done   done   done    lost lost  lost   lost     lost      done     cancelled done     lost
exit 0         done     done done   done   done    lost lost  -      lost     lost      done     cancelled done     lost
exit 3         done     done done   done   done    lost lost  -      lost     lost      done     cancelled done     lost
scribble       -        -    done   done   -       lost lost  -      lost     -         done     cancelled done     lost
`;

/** What any worker comes to. A rank that was stopped goes on later; a process is replaced. */
const DEEDS = `
               starting idle queued behind    loading   sync      async     native    replying  answered overdue    waiting
throw          thrown   -    done   done      -         thrown    thrown    -         refused   done     cancelled  thrown
timeout        -        -    done   -         done      timeout   timeout   timeout   timeout   done     -          timeout
cancel         -        -    cancelled cancelled cancelled cancelled cancelled cancelled cancelled done  cancelled  cancelled
abort          -        -    reason -         reason    reason    reason    reason    reason    done     -          reason
terminate      -        -    cancelled cancelled cancelled cancelled cancelled cancelled cancelled done  cancelled  cancelled
close          -        -    done   done      done      done      done      done      done      done     cancelled  done
stop, timeout  -        -    -      -         -         timeout   timeout   -         -         -        -          -
stop, cancel   -        -    -      -         -         cancelled cancelled -         cancelled -        -          -
`;

/** What happens to an idle process shows only when it is sent something. */
const STALLS = `
               idle
stop           done
`;

interface Cell {
  readonly fault: Fault;
  readonly state: State;
  readonly truth: Truth;
}

function cellsOf(table: string): Cell[] {
  const [head, ...rows] = table.trim().split("\n");
  const states = head!.trim().split(/\s+/) as State[];
  return rows.flatMap((row) => {
    const fault = row.slice(0, 15).trim();
    const truths = row.slice(15).trim().split(/\s+/);
    return states.flatMap((state, i) => {
      const truth = truths[i];
      if (truth === undefined) throw new Error(`the row of ${fault} ends before ${state}`);
      return truth === "-" ? [] : [{ fault, state, truth: truth as Truth }];
    });
  });
}

function casesOf(table: string, options: Options): Case[] {
  const subject = new Subject("faults");
  for (const { fault, state, truth } of cellsOf(table)) {
    const run: Case["run"] = async (place) => {
      await using stage = new Stage(place);
      await stage.play(fault, state, truth);
    };
    const sentence = `${fault}, ${state}: ${truth}`;
    subject.it(sentence, run, { ...options, workers: 2, limit: 20_000 });
  }
  return subject.cases;
}

/** Every cell, as a case of its own. */
export const CELLS: readonly Case[] = [
  ...casesOf(DEATHS, { processes: true }),
  ...casesOf(STALLS, { processes: true }),
  ...casesOf(DEEDS, {}),
];
