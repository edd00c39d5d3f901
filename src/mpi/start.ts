/**
 * How MPI is started in this process, and where that is refused: once, with the library of the
 * launcher that started the program.
 */
import { hostname } from "node:os";
import { debug } from "../os/debug.ts";
import { MpiError } from "../errors.ts";
import { isStartedByRank, launcherHere, ownEnvironment } from "./launcher/ancestry.ts";
import { familyName } from "./shim/find-mpicc.ts";
import { fetchConnection } from "./launcher/pmi.ts";
import { AWAITED_MS } from "../os/waits.ts";
import { numberOf, settingOf } from "../os/settings.ts";
import { findLauncher, type Launcher, noteStarted } from "./launcher/launcher.ts";
import { failure, MOST, type Mpi, ShimMpi } from "./mpi.ts";
import { ALONE, loadShim } from "./shim/load.ts";
import type { Shim } from "./shim/symbols.ts";
import { setForC } from "../os/libc.ts";

export interface StartOptions {
  /**
   * ms, 0 for ever: when the other ranks have not come that far by then, the job is ended with a
   * line on standard error. Only a rank that the job cannot do without sets a bound: the others
   * wait as long as it lives.
   */
  readonly initTimeout: number;
  /** Without a launcher this process is a job of one rank, which is an error otherwise. */
  readonly alone?: boolean;
}

/**
 * Keeps Open MPI from starting a daemon (orted) beside a process that is a job of its own, for
 * processes that this might start in turn: it takes 100 ms, and may outlive a worker that is
 * killed.
 */
const ALONE_SETTING = "OMPI_MCA_ess_singleton_isolated";

/**
 * ms that a host may be silent before its job is taken for lost. Slurm sees to it itself, after 5
 * minutes, and is left the time; Open MPI's mpirun does after 8, and MPICH's would wait for ever.
 */
const HOST_TIMEOUT_MS = { mpich: 60_000, openmpi: 60_000, unknown: 600_000 };

let started: { readonly mpi: Mpi } | { readonly error: unknown } | undefined;

/** MPI, if it was started in this process. */
export function runningMpi(): Mpi | null {
  return started !== undefined && "mpi" in started ? started.mpi : null;
}

/**
 * Starts MPI in this process: once, for MPI can neither be started again nor unloaded. A second
 * call returns the same, or throws the same.
 */
export function startMpi(options: StartOptions): Mpi {
  refuseWorker();
  if (!started) {
    try {
      started = { mpi: start(options) };
    } catch (error) {
      started = { error: located(error) };
    }
  }
  if ("error" in started) throw started.error;
  return started.mpi;
}

function start({ initTimeout, alone = false }: StartOptions): Mpi {
  refuseInner();
  const launcher = launcherHere() ?? (alone ? ALONE : null);
  if (!launcher) {
    throw new MpiError(
      "Cannot start MPI: no launcher started this program; start it with `mpirun -n 4 bun run …`",
    );
  }
  fetchConnection(process.env);
  if (launcher === ALONE) setForC(ALONE_SETTING, "1");
  const shim = loadShim(launcher, process.env);
  const info = new Int32Array(8);
  const timeout = Math.min(Math.ceil(initTimeout), MOST);
  debug(`rank ${launcher.rank} of ${launcher.size || "?"} waits for the others in MPI_Init`);
  const silent = silentSeconds(launcher);
  const code = shim.symbols.bsync_mpi_init(timeout, Math.ceil(AWAITED_MS), silent, info);
  if (code < 0) throw failure(shim.symbols, "start MPI", code);
  const mpi = new ShimMpi(shim, info);
  debug(`rank ${mpi.rank} of ${mpi.size} has started ${mpi.library}`);
  compare(mpi, launcher, shim);
  noteStarted(mpi.size);
  return mpi;
}

/** MPI in a program that a rank has started would take itself for that rank. */
function refuseInner(): void {
  if (!isStartedByRank()) return;
  const { rank } = findLauncher(process.env)!;
  throw new MpiError(
    `Cannot start MPI: rank ${rank} of an MPI job has started this program, which has no place ` +
      "in that job; start it with a launcher of its own, as in mpirun -n 4 bun run …",
  );
}

function refuseWorker(): void {
  if (Bun.isMainThread) return;
  throw new MpiError(
    "Cannot use MPI in a Worker: it belongs to the main thread of a process; move the calls " +
      "there, or open the pool with { mpi: false }",
  );
}

/** Refuses an MPI whose rank and size are not those that the launcher gave. */
function compare(mpi: Mpi, launcher: Launcher, shim: Shim): void {
  const { size, rank, name } = launcher;
  const same = mpi.size === size && mpi.rank === rank;
  // A batch system counts tasks, which need not all be ranks of one job.
  if (same || size === 0 || (launcher.family === "unknown" && mpi.size > 1)) return;
  throw new MpiError(
    `Cannot start MPI: ${name} started this program as rank ${rank} of ${size}, but ` +
      `${mpi.library} takes it for rank ${mpi.rank} of ${mpi.size}; is that the MPI of this ` +
      `launcher? The shim is ${shim.origin}, of ${familyName(shim.family)}; name the mpicc ` +
      `beside your mpirun with BSYNC_MPICC`,
  );
}

/** How many seconds a host may be silent, 0 for ever. */
function silentSeconds(launcher: Launcher): number {
  const ms = numberOf("BSYNC_HOST_TIMEOUT") ?? HOST_TIMEOUT_MS[launcher.family];
  if (!(ms >= 0)) {
    throw new RangeError(
      `Cannot use BSYNC_HOST_TIMEOUT=${settingOf("BSYNC_HOST_TIMEOUT")}: it must be a number of ` +
        "ms, or 0 for no limit",
    );
  }
  return ms === 0 ? 0 : Math.max(2, Math.ceil(Math.min(ms, MOST) / 1000));
}

/** What one of several hosts lacks is told on its own standard error, which all of them share. */
function located(error: unknown): unknown {
  const launcher = findLauncher(ownEnvironment());
  if (!(error instanceof MpiError) || launcher === null) return error;
  error.message += ` (rank ${launcher.rank}, host ${hostname()})`;
  return error;
}
