import { type Job, joinJob, SPIN_US } from "../link/job.ts";
import type { MpiHub, MpiLink } from "../link/mpi.ts";
import { surviveStrayErrors } from "./guard.ts";
import { Session } from "./session.ts";

/**
 * A rank that serves: any pool that rank 0 opens on it, several at once, until the job ends. Pools
 * are told apart by their tags and sessions; one is made when its first message comes.
 */

/**
 * How long a rank that has nothing to do naps, by how long nothing has come. A
 * nap costs some 25 µs of a core. The signal of a rank on the same machine cuts it short; a message
 * from another machine is found at its end.
 */
const NAPS: readonly { readonly quietMs: number; readonly napUs: number }[] = [
  { quietMs: 1_000, napUs: 5_000 },
  { quietMs: 20, napUs: 2_000 },
  { quietMs: 0, napUs: 200 },
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
  const served: Session = new Session(session, SPIN_US, () => {
    sessions.delete(served);
    link.close();
  });
  const link = hub.connect(source, tag, session, {
    onMessage: (bytes, length, buffers) => served.receive(bytes, length, buffers),
    onPause: () => served.answer(),
    onLost: ({ text }) => {
      process.stderr.write(`bsync: rank ${hub.mpi.rank}: rank ${source} ${text}\n`);
      process.exit(1);
    },
  });
  served.serve(link);
  sessions.add(served);
  return link;
}

/** Serves for ever: the process ends when the job does. */
export async function serveJob({ mpi, hub, spinUs, onBell }: Job): Promise<never> {
  onBell.add(() => ring?.());
  surviveStrayErrors(`rank ${mpi.rank}`);
  let last = performance.now();
  for (;;) {
    if (hub.poll()) {
      last = performance.now();
      continue;
    }
    if (hub.busy) {
      await turn(0);
      continue;
    }
    const quiet = performance.now() - last;
    const busy = [...sessions].some((session) => session.waiting);
    if (busy) {
      // Something asynchronous runs, and its event loop has to turn; a bell tells of messages.
      await turn(quiet * 1000 <= spinUs ? 0 : Math.min(5, 1 + quiet / 10));
      continue;
    }
    const { napUs } = NAPS.find(({ quietMs }) => quiet >= quietMs)!;
    const spin = quiet * 1000 <= spinUs ? spinUs : 0;
    if (mpi.wait(spin, spin, napUs, TURN_MS * 1000)) continue;
    // A nap that was cut short was so by a neighbour: its message may take some looks to be found.
    if (performance.now() - last < quiet + TURN_MS) last = performance.now();
    await turn(0);
  }
}

let ring: (() => void) | null = null;

/** Lets the event loop turn: at once, or after `ms`, or when a bell rings. */
function turn(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) return void setImmediate(resolve);
    const timer = setTimeout(resolve, ms);
    ring = () => {
      ring = null;
      clearTimeout(timer);
      resolve();
    };
  });
}
