import { type Job, joinJob } from "../link/job.ts";
import type { MpiHub, MpiLink } from "../link/mpi.ts";
import { surviveStrayErrors } from "./guard.ts";
import { Session } from "./session.ts";

/**
 * A rank that serves: any pool that rank 0 opens on it, several at once, until the job ends. Pools
 * are told apart by their tags and sessions; one is made when its first message comes.
 */

/** µs without any message after which the rank naps, and for how long it naps then. */
const NAPS: readonly { readonly quietMs: number; readonly napUs: number }[] = [
  { quietMs: 1_000, napUs: 5_000 },
  { quietMs: 20, napUs: 1_000 },
  { quietMs: 0, napUs: 100 },
];

/** ms that the rank may nap in C before its event loop gets a turn, for timers its tasks have left. */
const TURN_MS = 5;

const sessions = new Set<Session>();

/** Starts MPI on a rank other than 0, so that it can be reached. */
export function joinAsWorker(initTimeout: number): Job {
  return joinJob(initTimeout, acceptPool);
}

function acceptPool(hub: MpiHub, source: number, tag: number, session: number): MpiLink | null {
  if (source !== 0) return null;
  const served: Session = new Session(session, () => {
    sessions.delete(served);
    link.close();
  });
  const link = hub.connect(source, tag, session, {
    onMessage: (bytes, length, buffers) => served.receive(bytes, length, buffers),
    onLost() {},
  });
  served.serve(link);
  sessions.add(served);
  return link;
}

/** Serves for ever: the process ends when the job does. */
export async function serveJob({ mpi, hub, spinUs }: Job): Promise<never> {
  surviveStrayErrors(`rank ${mpi.rank}`);
  let last = performance.now();
  for (;;) {
    if (hub.poll()) {
      last = performance.now();
      continue;
    }
    const quiet = performance.now() - last;
    const busy = [...sessions].some((session) => session.waiting);
    if (busy) {
      await turn(quiet * 1000 <= spinUs ? 0 : 1);
      continue;
    }
    const { napUs } = NAPS.find(({ quietMs }) => quiet >= quietMs)!;
    const spin = quiet * 1000 <= spinUs ? spinUs : 0;
    if (!mpi.wait(spin, spin, napUs, TURN_MS * 1000)) await turn(0);
  }
}

/** Lets the event loop turn: at once, or after `ms`. */
function turn(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}
