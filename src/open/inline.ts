import { availableParallelism } from "node:os";
import { InlineBackend, type InlineSession } from "../backend/inline.ts";
import { FunctionError } from "../errors.ts";
import { findHere, recordHere } from "../function/here.ts";
import type { PoolSettings } from "../options.ts";
import { loadFunctions } from "../worker/functions-lazy.ts";
import type { FindAtOnce } from "../worker/function-table.ts";
import { Session } from "../worker/session.ts";
import { openOn } from "./on-backend.ts";
import type { Opened } from "./opened.ts";
import { readCount, type WorkerList } from "../worker-list.ts";

/** `open` with `inline` and without MPI: as many workers as there would be processes. */
export async function openInline(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
): Promise<Opened> {
  return await openSessions(readCount(workers, availableParallelism()), settings, () => {});
}

/** Each worker is a session in this very process. `onClose` is called when the pool is over. */
export async function openSessions(
  workers: number,
  settings: PoolSettings,
  onClose: () => void,
): Promise<Opened> {
  // A call that fails has them at hand, and a blocked thread could not load them.
  await loadFunctions();
  const backend = new InlineBackend({ newSession, recordOf: recordHere, onClose });
  return await openOn(backend, workers, settings);
}

function newSession(number: number): InlineSession {
  const session = new Session(number, 0, () => {}, { find: findAtOnce, recordOf: recordHere });
  return {
    get isBusy() {
      return session.waiting;
    },
    serve: (end) => session.serve(end),
    onMessage: (bytes, length, buffers) => session.receive(bytes, length, buffers),
    onPause: () => session.answer(),
    onLost: () => {},
    goOn: () => session.goOn(),
    abandon: () => session.abandon(),
  };
}

const findAtOnce: FindAtOnce = ({ id, reference }) => {
  try {
    return findHere(id, reference);
  } catch (error) {
    if (error instanceof FunctionError) return error;
    throw error;
  }
};
