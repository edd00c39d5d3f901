import { writeSync } from "node:fs";
import { hostname } from "node:os";
import { BELL_LOOKS, type Job, joinJob, SPIN_US, spinOf } from "../link/job.ts";
import type { MpiHub, MpiLink } from "../link/mpi.ts";
import { YIELD_US } from "../link/pump.ts";
import { firstKind, Kind } from "../wire.ts";
import { currentTask } from "./context.ts";
import { surviveStrayErrors } from "./guard.ts";
import { Relay } from "./relay.ts";
import { Session } from "./session.ts";

/**
 * A rank that serves: any pool that rank 0 opens on it, several at once, until the job ends. Pools
 * are told apart by their tags and sessions; one is made when its first message comes. It asks either
 * for a session here, or, for an isolated pool, for one in a child.
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

/**
 * The same while a child works for an isolated pool, when the rank sleeps in its event loop: the bells of
 * children and, by a signal, of the controller wake it there. `near`: if the controller can ring.
 */
const RELAY_NAP_MS = { near: 40, far: 5 };

const sessions = new Set<Session>();
/** Children that work for isolated pools, by the tags of these. */
const relays = new Map<number, Relay>();

/** Starts MPI on a rank other than 0, so that it can be reached. */
export function joinAsWorker(initTimeout: number): Job {
  job = joinJob(initTimeout, acceptPool);
  return job;
}

let job: Job | null = null;

function acceptPool(hub: MpiHub, source: number, tag: number, session: number): MpiLink | null {
  if (source !== 0) return null;
  let served: Session | Relay | null = null;
  const link = hub.connect(source, tag, session, {
    onMessage(bytes, length, buffers) {
      if (served !== null) return served.receive(bytes, length, buffers);
      const kind = firstKind(bytes, length);
      if (kind === Kind.Spawn) served = serveByChild(link, bytes, length);
      else if (kind === Kind.Open) served = serveHere(link, bytes, length, buffers);
      // What comes late for a child that is gone.
      else link.close();
    },
    onPause: () => served?.answer(),
    onLost: ({ text }) => {
      process.stderr.write(`bsync: rank ${hub.mpi.rank}: rank ${source} ${text}\n`);
      process.exit(1);
    },
  });
  return link;
}

function serveHere(
  link: MpiLink,
  bytes: Uint8Array,
  length: number,
  buffers: Uint8Array[],
): Session {
  const session: Session = new Session(link.session, SPIN_US, () => {
    sessions.delete(session);
    link.close();
  });
  session.serve(link);
  sessions.add(session);
  session.receive(bytes, length, buffers);
  return session;
}

function serveByChild(link: MpiLink, bytes: Uint8Array, length: number): Relay {
  const { mpi } = job!;
  relays.get(link.tag)?.end();
  // Half of its spin is what the other side may count on: their clocks start at different moments.
  const relay: Relay = new Relay(link, spinOf(mpi, true) / 2, () => {
    if (relays.get(link.tag) === relay) relays.delete(link.tag);
    link.close();
  });
  relays.set(link.tag, relay);
  relay.start(bytes, length, { rank: mpi.rank, size: mpi.size }, () => ring?.());
  return relay;
}

/** Takes in what the children say; true if anything came. */
function pollChildren(): boolean {
  let moved = false;
  for (const relay of relays.values()) if (relay.poll()) moved = true;
  return moved;
}

/** The last words of a rank that ends by itself: nobody else knows why. */
function sayWhy(rank: number, code: number): void {
  const task = currentTask();
  const where = task === null ? "outside of any task" : `in ${task}`;
  const cure = task === null ? "" : "; with { isolate: true } it would have cost that task alone";
  const text =
    `bsync: rank ${rank} (pid ${process.pid}, host ${hostname()}) ended with exit code ${code} ` +
    `${where}, and the job ends with it${cure}\n`;
  try {
    writeSync(2, text);
  } catch {
    // Nobody listens.
  }
}

/** Serves for ever: the process ends when the job does. */
export async function serveJob(job: Job): Promise<never> {
  const { mpi, hub, roll, spinUs, onBell } = job;
  const relaySpinUs = spinOf(mpi, true);
  roll.onDesertion = (code) => sayWhy(mpi.rank, code);
  roll.onDismissed = () => {
    roll.onDesertion = null;
    process.exit(0);
  };
  roll.join(0);
  onBell.add(() => ring?.());
  surviveStrayErrors(`rank ${mpi.rank}`);
  let last = performance.now();
  let turned = last;
  let looks = 0;
  for (;;) {
    const moved = hub.poll();
    if ((relays.size > 0 && pollChildren()) || moved) {
      last = performance.now();
      if (relays.size === 0 || last - turned < TURN_MS) continue;
      turned = last;
      await turn(0);
      continue;
    }
    if (hub.busy) {
      await turn(0);
      continue;
    }
    const quiet = performance.now() - last;
    if (relays.size > 0) {
      turned = performance.now();
      if (quiet * 1000 <= relaySpinUs || --looks > 0) {
        await turn(0);
      } else {
        await sleepUntilRung(quiet);
        looks = BELL_LOOKS;
      }
      continue;
    }
    const busy = [...sessions].some((session) => session.waiting);
    if (busy) {
      // Something asynchronous runs, and its event loop has to turn; a bell tells of messages.
      await turn(quiet * 1000 <= spinUs ? 0 : Math.min(5, 1 + quiet / 10));
      continue;
    }
    const { napUs } = NAPS.find(({ quietMs }) => quiet >= quietMs)!;
    const spin = quiet * 1000 <= spinUs ? spinUs : 0;
    const alone = Math.min(spin, YIELD_US);
    if (mpi.wait(alone, 2 * spin - alone, napUs, TURN_MS * 1000)) continue;
    // A nap that was cut short was so by a neighbour: its message may take some looks to be found.
    if (performance.now() - last < quiet + TURN_MS) last = performance.now();
    await turn(0);
  }
}

let ring: (() => void) | null = null;

/** Sleeps in the event loop, where the bells of children and controller are heard, for some ms at most. */
async function sleepUntilRung(quiet: number): Promise<void> {
  let mostMs = RELAY_NAP_MS.near;
  for (const relay of relays.values()) {
    if (!relay.sleep()) return await turn(0);
    if (!relay.neighbour) mostMs = RELAY_NAP_MS.far;
  }
  await turn(Math.min(mostMs, 1 + quiet / 10));
  for (const relay of relays.values()) relay.awake();
}

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
