import { writeSync } from "node:fs";
import { hostname } from "node:os";
import { debug } from "../os/debug.ts";
import { BsyncError } from "../errors.ts";
import { isLoading, setMainScript } from "../function/main-script.ts";
import { endAfterStop } from "../function/stop-main.ts";
import { DOORBELL_LOOKS, type Job, joinJob, SPIN_US, spinOf } from "../job/job.ts";
import { YIELD_US } from "../link/progress-loop.ts";
import {
  Promise,
  clearTimeout,
  newPromise,
  own,
  performance,
  setImmediate,
  setTimeout,
} from "../os/natives.ts";
import { exitOnceWritten, written } from "../os/output.ts";
import { AWAITED_MS, EXIT_MS } from "../os/waits.ts";
import { exitProcess, killDescendants, setExitCode } from "../os/processes.ts";
import type { OpenId, Released } from "../wire/frames.ts";
import { currentCall } from "../context.ts";
import { endWorker, surviveStrayErrors, restoreSignals } from "./ignored-signals.ts";
import { PoolServices } from "./service.ts";

/**
 * A rank that waits in `open`, and serves meanwhile any pool that is opened on it, several at once,
 * until the pool it waits for is over, or the job is. Its thread is the pools' as long as it waits,
 * and the program's own before and after: then nothing of a pool is left on it, and messages that
 * come are kept.
 */

/**
 * How long a rank that has nothing to do naps in C, by how long nothing has come. A nap costs some
 * 25 µs of a core. `near`: if the controllers run on this machine, whose signal cuts it short; a
 * message from another machine is found at its end.
 */
const NAPS: readonly { readonly quietMs: number; readonly near: number; readonly far: number }[] = [
  { quietMs: 1_000, near: 5_000, far: 5_000 },
  { quietMs: 20, near: 5_000, far: 2_000 },
  { quietMs: 0, near: 200, far: 200 },
];

/**
 * ms that the rank may nap in C before its event loop turns, for timers that its tasks have left.
 */
const TURN_MS = 5;

/**
 * ms that it sleeps at most in its event loop: while a child works for an isolated pool, whose
 * doorbell wakes it there; while a task awaits something; and after a silence. `near`: if the
 * controllers run on this machine, and wake it, too.
 */
const SLEEP_MS = { near: 100, far: 5 };

/**
 * ms of silence after which a rank that can be woken sleeps in its event loop, and wakes some 50 µs
 * later.
 */
const SILENCE_MS = 500;

/** Written by a rank that ends by itself: no other process knows why. */
function reportDesertion(rank: number, code: number): void {
  const call = currentCall();
  const where = call === null ? "outside of any task" : `in ${call.label}`;
  // An initializer would have ended each child, too.
  const cure = call?.task ? "; with { isolate: true } it would have cost that task alone" : "";
  const text =
    `bsync: rank ${rank} (pid ${process.pid}, host ${hostname()}) ended with exit code ${code} ` +
    `${where}, and the job ends with it${cure}\n`;
  try {
    writeSync(2, text);
  } catch {
    // Nobody listens.
  }
}

/** A call of `open` that waits on this rank. */
interface Wait {
  /** The controller of the pool: a rank of the job. */
  readonly controller: number;
  /** Null for a wait not for one pool, but for all that come. */
  readonly id: OpenId | null;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Waits for pools that are not over. */
const waits = new Set<Wait>();
/** Controllers that have opened a pool here since the latest wait for one of theirs began. */
const met = new Set<number>();
/** Pools that are over, and on which this rank has not waited yet. */
const released = new Map<string, Released>();
/** Waits for pools that are over: some child of theirs may be left here for a moment. */
const leaving = new Map<Wait, Released>();
/** A controller whose pools this rank has waited for is gone: the process ends when all are. */
let isOrphan = false;
/** No controller wants anything more of this rank, which ends once it has written all. */
let isEnding = false;
/** Undoes what this rank has done to its process in order to serve. */
let stopServing: (() => void) | null = null;

let job: Job | null = null;
let services: PoolServices | null = null;

/** Starts MPI in this process, or finds it started, so that others can open pools on it. */
export function join(initTimeout: number): Job {
  if (job !== null) return job;
  job = joinJob(initTimeout, (_, source, tag, session) => services!.accept(source, tag, session));
  const { mpi, hub, membership } = job;
  services = new PoolServices({
    hub,
    get isServing() {
      return stopServing !== null;
    },
    get isParting() {
      return waits.size === 0 && leaving.size > 0 && !isOrphan;
    },
    // Half of its spin is promised to the other side: their clocks start at different moments.
    spinUs: { session: SPIN_US, relay: spinOf(mpi, true) / 2 },
    onPool(controller) {
      met.add(controller);
      membership.join(controller);
    },
    wake: () => ring?.(),
  });
  membership.onShutDown = () => services!.shutDown();
  membership.onReleased = onReleased;
  membership.onDismissed = onDismissed;
  return job;
}

/**
 * Serves; resolves when the pool of that call of `open` is over. Without `id` it never does: the
 * process ends when its controller has. `isWanted`: unless the pool is known to be for other ranks.
 */
export function serve(
  job: Job,
  controller: number,
  id: OpenId | null,
  isWanted: boolean,
): Promise<void> {
  const { promise, resolve, reject } = newPromise<void>();
  const wait: Wait = { controller, id, resolve, reject };
  const name = id === null ? "" : nameOf(id);
  debug(`rank ${job.mpi.rank} serves in open`);
  const over = released.get(name);
  released.delete(name);
  if (over === undefined) waits.add(wait);
  else leaving.set(wait, over);
  met.delete(controller);
  if (isWanted) setTimeout(() => reportAwaited(job, wait), AWAITED_MS).unref();
  job.membership.join(controller);
  if (stopServing === null) {
    stopServing = startServing(job);
    serveWhileWaiting(job).catch(failWaits);
  }
  return promise;
}

/** Reports a controller that has not come for long; one rank of each host does. */
function reportAwaited({ mpi }: Job, wait: Wait): void {
  const { controller } = wait;
  if (!waits.has(wait) || met.has(controller)) return;
  const host = mpi.hostOf(mpi.rank);
  for (let rank = 0; rank < mpi.rank; rank++) {
    if (rank !== controller && mpi.hostOf(rank) === host) return;
  }
  process.stderr.write(
    `bsync: rank ${mpi.rank} (host ${host}) has waited ${Math.round(AWAITED_MS / 1_000)} s ` +
      "in AsyncPool.open " +
      `for rank ${controller} (host ${mpi.hostOf(controller)}) to open a pool on it; it goes ` +
      "on waiting\n",
  );
}

function nameOf({ group, number }: OpenId): string {
  return `${number} ${group}`;
}

function onReleased(controller: number, over: Released): void {
  services!.release(controller, over);
  const name = nameOf(over);
  for (const wait of waits) {
    if (wait.id === null || nameOf(wait.id) !== name) continue;
    waits.delete(wait);
    leaving.set(wait, over);
    return;
  }
  released.set(name, over);
}

/** The pools of that controller that this rank waits for will not come. */
function onDismissed(controller: number): void {
  for (const wait of waits) {
    if (wait.controller !== controller) continue;
    waits.delete(wait);
    isOrphan = true;
  }
  if (!isOrphan || waits.size > 0 || leaving.size > 0 || job!.membership.isWanted) return;
  isEnding = true;
  job!.membership.onDesertion = null;
  services!.abandonAll();
  // A controller that opens a pool meanwhile is sent that this rank has come to its end. It goes on
  // to look for messages.
  services!.shutDown();
  void written().then(endServing);
}

/** All output of tasks here has left. */
function endServing(): void {
  // Tasks may have left handlers that do not return, and programs that hold the launcher's pipes,
  // and so the job.
  const { mpi, membership } = job!;
  membership.onOver = () => mpi.endWithin(EXIT_MS);
  own.on("exit", () => killDescendants(process.pid));
  exitProcess(0);
}

/** Changes to this process in order to serve; returns a function that undoes them. */
function startServing({ mpi, membership, onDoorbell }: Job): () => void {
  const onRing = () => ring?.();
  const [, script] = process.argv;
  const { exit, exitCode } = process;
  process.exit = (code) => exitOnceWritten(Number(code ?? process.exitCode ?? 0));
  const surviveNoMore = surviveStrayErrors(`rank ${mpi.rank}`);
  membership.onDesertion = (code) => reportDesertion(mpi.rank, code);
  onDoorbell.add(onRing);
  return () => {
    surviveNoMore();
    restoreSignals();
    membership.onDesertion = null;
    onDoorbell.delete(onRing);
    setMainScript(null);
    process.argv[1] = script!;
    process.exit = exit;
    endAfterStop();
    // An exit code that tasks have set is theirs.
    setExitCode(exitCode);
    membership.depart();
  };
}

/** MPI has failed. Any other error is a fault of this rank. */
function failWaits(error: unknown): void {
  if (!(error instanceof BsyncError)) endWorker(error);
  for (const wait of [...waits, ...leaving.keys()]) wait.reject(error);
  waits.clear();
  leaving.clear();
  // Last: it sends messages to others, over the MPI that has failed.
  const stop = stopServing;
  stopServing = null;
  stop?.();
}

/** Resolves each wait whose pool has no child left here; true if that was the last. */
function resolveReleased(): boolean {
  // A module that is loaded for a task would see the program's own next `open` as its own.
  if (isLoading()) return false;
  for (const [wait, over] of leaving) {
    if (services!.hasChild(wait.controller, over)) continue;
    leaving.delete(wait);
    const isLast =
      leaving.size === 0 && waits.size === 0 && !(isOrphan && job!.membership.isWanted);
    if (isLast) {
      stopServing?.();
      stopServing = null;
    }
    wait.resolve();
    if (isLast) return true;
  }
  return false;
}

async function serveWhileWaiting(job: Job): Promise<void> {
  const { mpi, hub, spinUs } = job;
  const { relays } = services!;
  const relaySpinUs = spinOf(mpi, true);
  let last = performance.now();
  let turned = last;
  let looks = 0;
  services!.resume();
  for (;;) {
    const heard = hub.poll();
    const moved = (relays.size > 0 && services!.pollChildren()) || heard;
    if (moved) last = performance.now();
    // One pool's calls may come without a pause, while another's wait for their timers, or a third
    // is over.
    if (moved && last - turned < TURN_MS) continue;
    if (moved || leaving.size > 0) {
      turned = last;
      if (leaving.size > 0 && resolveReleased()) return;
      await turn(moved ? 0 : 1);
      continue;
    }
    if (hub.busy) {
      await turn(0);
      continue;
    }
    if (isEnding) {
      // The remaining output needs the event loop.
      await turn(1);
      continue;
    }
    const quiet = performance.now() - last;
    if (relays.size > 0 || services!.waiting || (quiet > SILENCE_MS && services!.areNear)) {
      turned = performance.now();
      const limitUs = relays.size > 0 ? relaySpinUs : spinUs;
      if (quiet * 1000 <= limitUs || --looks > 0) {
        await turn(0);
      } else {
        await sleepUntilRung(quiet);
        looks = DOORBELL_LOOKS;
      }
      continue;
    }
    const nap = NAPS.find(({ quietMs }) => quiet >= quietMs)!;
    const napUs = services!.areNear ? nap.near : nap.far;
    const lookUs = quiet * 1000 <= spinUs ? 2 * spinUs : 0;
    const aloneUs = Math.min(lookUs / 2, YIELD_US);
    const totalUs = TURN_MS * 1000;
    if (mpi.wait({ spinUs: aloneUs, yieldUs: lookUs - aloneUs, napUs, totalUs })) continue;
    // A nap that was cut short was so by a neighbour: its message may take some looks to be found.
    if (performance.now() - last < quiet + TURN_MS) last = performance.now();
    await turn(0);
  }
}

let ring: (() => void) | null = null;

/**
 * Sleeps in the event loop, where the doorbells of children and controllers are heard, for some ms
 * at most.
 */
async function sleepUntilRung(quiet: number): Promise<void> {
  const { relays, areNear } = services!;
  for (const relay of relays) if (!relay.arm()) return await turn(0);
  await turn(Math.min(areNear ? SLEEP_MS.near : SLEEP_MS.far, 1 + quiet / 5));
  for (const relay of relays) relay.disarm();
}

/** Lets the event loop turn: at once, or after `ms`, or when a doorbell rings. */
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
