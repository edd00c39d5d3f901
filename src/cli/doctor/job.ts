/**
 * The doctor inside an MPI job: every rank sends its facts to rank 0, and answers its pings. No
 * rank waits for ever: ranks that do not answer are named, and then the job is aborted.
 */
import { hostname } from "node:os";
import { coreQuota, hostCores } from "../../os/cores.ts";
import { textOf } from "../../errors.ts";
import { Cache } from "../../mpi/shim/cache.ts";
import { abortByLauncher } from "../../mpi/launcher/pmi.ts";
import { findCompiler } from "../../mpi/shim/find-mpicc.ts";
import { isOther, type Launcher, setting } from "../../mpi/launcher/launcher.ts";
import type { Mpi } from "../../mpi/mpi.ts";
import { startMpi } from "../../mpi/start.ts";
import { machineId } from "../../os/identity.ts";
import { TINY } from "../../mpi/shim/tinycc.ts";
import { transportOf } from "../../mpi/transport.ts";
import { describeCompiler, tryCompiler } from "./installations.ts";
import { hostsOf } from "./hosts.ts";
import { affinity } from "./machine.ts";
import type { JobFacts, RankFacts, SilentRank } from "./report.ts";

const TAG = { Facts: 1, Ping: 2, Leave: 3 } as const;

/** Bytes of a ping. */
const PING = new Uint8Array(8);

/** Round trips to a rank: the first ones find it asleep, the median of the others counts. */
const WARM_UP = 100;
const ROUND_TRIPS = 1_000;

/** ms of pings to each rank, even if they make few round trips; and to all ranks together. */
const PING_MS = 100;
const ALL_PINGS_MS = 5_000;

/** ms that each rank has at least to answer, when others have used up the common time. */
const LEAST_MS = 1_000;

/** ms that rank 0 may take for work other than the ranks: the longest is to compile a binding. */
const ASIDE_MS = 180_000;

/** µs that a waiting side spins, as in pools with a core for each rank. */
const SPIN_US = 300;

/** The findings of rank 0. */
export interface Examined {
  readonly job: JobFacts;
  /**
   * Dismisses the other ranks. If some are silent it does not return, but ends the job with `code`.
   */
  end(code: number): void;
}

/** On rank 0: examines the job. */
export function examineJob(launcher: Launcher, timeoutMs: number): Examined {
  const { name, family, size } = launcher;
  const cache = new Cache(process.env);
  const { compiler } = findCompiler(family, process.env, cache);
  const known = { launcher: { name, family } };
  let mpi: Mpi;
  try {
    mpi = startMpi({ initTimeout: timeoutMs });
  } catch (error) {
    const none = { library: null, shim: null, transport: null, hosts: [], ranks: [], silent: [] };
    const mpicc = compiler && describeCompiler(compiler, tryCompiler(compiler, cache));
    const matches = mpicc !== null && isOther(family, mpicc.family) ? false : null;
    const job = { ...known, size, error: textOf(error), matches, mpicc, ...none };
    return { job, end: () => {} };
  }
  const told = gather(mpi, timeoutMs);
  const ranks = ping(mpi, told, timeoutMs);
  const silent = silentOf(mpi, told, ranks);
  const { library, origin: shim } = mpi;
  const transport = transportOf(mpi);
  const hosts = hostsOf(ranks);
  const failed = compiler && shim.startsWith(TINY) ? tryCompiler(compiler, cache) : null;
  const mpicc = compiler && describeCompiler(compiler, failed);
  const found = { mpicc, library, shim, transport, hosts, ranks, silent };
  const job = { ...known, size: mpi.size, error: null, matches: true, ...found };
  const end = (code: number) => {
    // Finalizing would wait for them.
    if (silent.length > 0) mpi.abort(code);
    leave(mpi, { timeoutMs, code });
  };
  return { job, end };
}

/** The ranks that sent no facts, and those that then did not answer pings. */
function silentOf(mpi: Mpi, told: RankFacts[], answered: RankFacts[]): SilentRank[] {
  const pids = new Map(told.map(({ rank, pid }) => [rank, pid]));
  const well = new Set(answered.map(({ rank }) => rank));
  return Array.from({ length: mpi.size }, (_, rank) => rank)
    .filter((rank) => !well.has(rank))
    .map((rank) => ({ rank, host: mpi.hostOf(rank), pid: pids.get(rank) ?? null }));
}

/**
 * On the other ranks: sends rank 0 the facts, serves it until it says to leave, and returns the
 * exit code.
 */
export function serveJob(launcher: Launcher, timeoutMs: number): number {
  let mpi: Mpi;
  try {
    mpi = startMpi({ initTimeout: timeoutMs });
  } catch (error) {
    return tellFailure(launcher, error);
  }
  if (!serve(mpi, timeoutMs)) {
    const who = `rank ${mpi.rank} (pid ${process.pid}, host ${hostname()})`;
    const why = `rank 0, on ${mpi.hostOf(0)}, does not answer any more: has it been stopped?`;
    process.stderr.write(`bsync doctor: ${who}: ${why}\n`);
    mpi.abort(1);
  }
  // Rank 0 also waits for a rank that is stopped meanwhile, and reports it.
  if (!part(mpi, performance.now() + timeoutMs + LEAST_MS)) mpi.abort(1);
  return 0;
}

/**
 * ms for rank 0 to report that MPI does not start there either, before another rank ends the job.
 */
const REPORT_MS = 5_000;

/**
 * MPI does not start here. Rank 0 knows it only if its own host has the same trouble; so the first
 * rank of each host reports it. On another host than rank 0's that rank then ends the job, where
 * others may wait for it in `MPI_Init`.
 */
function tellFailure({ rank }: Launcher, error: unknown): number {
  const place = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"]
    .map((name) => setting(process.env, name))
    .find((value) => value !== undefined);
  if (place !== undefined && place !== "0") return 0;
  process.stderr.write(`bsync doctor: rank ${rank} on ${hostname()}: ${textOf(error)}\n`);
  if (place === undefined) return 0;
  Bun.sleepSync(REPORT_MS);
  abortByLauncher(process.env, 1);
  return 1;
}

/** Serves until rank 0 says to leave; false if it was silent for longer than its work may take. */
function serve(mpi: Mpi, timeoutMs: number): boolean {
  const patienceMs = 2 * timeoutMs + mpi.size * LEAST_MS + ASIDE_MS;
  let until = performance.now() + patienceMs;
  let served = tell(mpi, until);
  while (served) {
    const message = next(mpi, until);
    if (message?.tag === TAG.Leave) return true;
    until = performance.now() + patienceMs;
    served = message !== null && send(mpi, PING, { dest: 0, tag: TAG.Ping, until });
  }
  return false;
}

/** Sends rank 0 this rank's facts; false if that was not done in time. */
export function tell(mpi: Mpi, until: number): boolean {
  const facts = new TextEncoder().encode(JSON.stringify(factsOf(mpi)));
  return send(mpi, facts, { dest: 0, tag: TAG.Facts, until });
}

function factsOf(mpi: Mpi): RankFacts {
  return {
    rank: mpi.rank,
    host: hostname(),
    pid: process.pid,
    bun: Bun.version,
    library: mpi.library,
    cores: hostCores(),
    affinity: affinity(),
    machine: machineId(),
    quota: coreQuota(),
    pingUs: null,
  };
}

interface Message {
  readonly source: number;
  readonly tag: number;
  readonly body: Uint8Array;
}

const buffer = new Uint8Array(new ArrayBuffer(8192));
const status = new Int32Array(3);

/** The next message of any rank; null if none came before `until`. Read its body at once. */
function next(mpi: Mpi, until: number): Message | null {
  const spinUs = mpi.ranksOnHost > hostCores() ? 0 : SPIN_US;
  for (;;) {
    const found = mpi.poll(buffer, status);
    const [source = 0, tag = 0, bytes = 0] = status;
    if (found === 1) return { source, tag, body: buffer.subarray(0, bytes) };
    if (found === 2) {
      const body = new Uint8Array(bytes);
      const request = mpi.receive(body, bytes, source, tag);
      return finish(mpi, request, until) ? { source, tag, body } : null;
    }
    if (performance.now() > until) return null;
    mpi.wait({ spinUs, yieldUs: 100, napUs: 100, totalUs: 5_000 });
  }
}

interface Address {
  readonly dest: number;
  readonly tag: number;
  readonly until: number;
}

/**
 * Sends; returns whether that was done in time. Small messages are sent eagerly, without waiting
 * for the other side, unless it has not taken the earlier ones, or a connection has to be made
 * first.
 */
function send(mpi: Mpi, body: Uint8Array, { dest, tag, until }: Address): boolean {
  return finish(mpi, mpi.send(body, body.byteLength, dest, tag), until);
}

/** Whether this request was done in time; 0 is none, and done. */
function finish(mpi: Mpi, request: number, until: number): boolean {
  while (request !== 0 && !mpi.test(request)) {
    if (performance.now() > until) return false;
  }
  return true;
}

/** The facts of the ranks that send them in time. */
function gather(mpi: Mpi, timeoutMs: number): RankFacts[] {
  const until = performance.now() + timeoutMs;
  const ranks = new Map([[0, factsOf(mpi)]]);
  while (ranks.size < mpi.size) {
    const message = next(mpi, until);
    if (message === null) break;
    if (message.tag !== TAG.Facts) continue;
    ranks.set(message.source, JSON.parse(new TextDecoder().decode(message.body)) as RankFacts);
  }
  return [...ranks.values()].sort((a, b) => a.rank - b.rank);
}

/** The facts with the round trip to each rank; without the ranks that do not answer any more. */
function ping(mpi: Mpi, ranks: RankFacts[], timeoutMs: number): RankFacts[] {
  const limitMs = Math.min(PING_MS, ALL_PINGS_MS / ranks.length);
  const end = performance.now() + limitMs * ranks.length + timeoutMs;
  const answered: RankFacts[] = [];
  for (const facts of ranks) {
    const until = Math.max(end, performance.now() + LEAST_MS);
    const pingUs = facts.rank === 0 ? null : roundTrip(mpi, facts.rank, limitMs, until);
    if (facts.rank === 0 || pingUs !== null) answered.push({ ...facts, pingUs });
  }
  return answered;
}

/**
 * µs of a round trip to `rank`: the median of those within `limitMs`; null if it has not answered
 * by `until`.
 */
function roundTrip(mpi: Mpi, rank: number, limitMs: number, until: number): number | null {
  const begin = performance.now();
  const trips: number[] = [];
  for (let trip = 0; trip < WARM_UP + ROUND_TRIPS; trip++) {
    const start = performance.now();
    if (!send(mpi, PING, { dest: rank, tag: TAG.Ping, until })) return null;
    let answer;
    do answer = next(mpi, until);
    while (answer !== null && (answer.source !== rank || answer.tag !== TAG.Ping));
    if (answer === null) return null;
    trips.push(performance.now() - start);
    if (performance.now() - begin > limitMs) break;
  }
  const counted = (trips.length > WARM_UP ? trips.slice(WARM_UP) : trips).sort((a, b) => a - b);
  return Math.round(counted[counted.length >> 1]! * 10_000) / 10;
}

/**
 * Dismisses the other ranks. No rank leaves before all have answered: Open MPI's mpirun does not
 * always survive an abort while ranks leave.
 */
function leave(mpi: Mpi, { timeoutMs, code }: { timeoutMs: number; code: number }): void {
  const until = performance.now() + timeoutMs;
  for (let dest = 1; dest < mpi.size; dest++) send(mpi, PING, { dest, tag: TAG.Leave, until });
  if (part(mpi, until)) return;
  const limit = `${timeoutMs / 1000} s`;
  process.stderr.write(
    `bsync doctor: not every rank has ended within ${limit}, one may be stopped: the job is ` +
      "aborted\n",
  );
  mpi.abort(code === 0 ? 1 : code);
}

/**
 * Ends MPI when all ranks have reached their ends: waiting for them in MPI itself would burn a
 * core.
 */
function part(mpi: Mpi, until: number): boolean {
  while (!mpi.leave()) {
    if (performance.now() > until) return false;
    mpi.wait({ yieldUs: 100, napUs: 100, totalUs: 2_000 });
  }
  mpi.finalize();
  return true;
}
