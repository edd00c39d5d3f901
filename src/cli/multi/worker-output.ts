/** The output of a job while it is on its worker. */
import { WorkerLostError } from "../../errors.ts";
import type { AsyncPool } from "../../pool.ts";
import { OutputLostError } from "./errors.ts";
import type { OutputReader } from "./farm-job.ts";
import { dropJob, followOutput, readOutput } from "./job.ts";

/** A pool as one of its workers has it to itself. */
export type View = ReturnType<AsyncPool["with"]>;

export function readerOn(view: View, id: string): OutputReader {
  return {
    read: (stream, from, length) => unlessLost(view.async(readOutput, id, stream, from, length)),
    follow: (from, isByLine) => unlessLost(view.async(followOutput, id, from, isByLine)),
    drop: () => void view.async(dropJob, id).catch(() => {}),
  };
}

/** What a worker answers of an output that it has. */
async function unlessLost<T>(answer: PromiseLike<T | null>): Promise<T> {
  let found: T | null = null;
  try {
    found = await answer;
  } catch (error) {
    if (!(error instanceof WorkerLostError)) throw error;
  }
  if (found === null) throw new OutputLostError("its output was lost with the worker that had it");
  return found;
}
