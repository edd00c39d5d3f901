/** What is wrong with an MPI job: its MPI, its ranks, their cores and the way between them. */
import { remedy } from "../../mpi/shim/load.ts";
import { TINY } from "../../mpi/shim/tinycc.ts";
import { differing, error, versionsOf, warning } from "./problem-texts.ts";
import type { HostFacts, JobFacts, MpiccFacts, Problem } from "./report.ts";

/**
 * µs above which a round trip between ranks of one host is slow: where all is well it takes 1 to
 * 10.
 */
const SLOW_US = 100;

/** `job` names it in a message. `mpicc` is what was found out about its compiler beforehand. */
export function* ofJob(facts: JobFacts, job: string, mpicc = facts.mpicc): Iterable<Problem> {
  const { launcher, size, error: why, shim } = facts;
  if (why !== null) {
    const code = codeOf(facts, mpicc);
    const brief = `${mpicc?.path} finds no mpi.h: ${remedy(launcher.family)}`;
    yield error(code, code === "HEADERS_MISSING" ? brief : why);
    return;
  }
  if (size === 1) {
    yield warning(
      "ONE_RANK",
      `${launcher.name} has started one rank, which is no job of MPI: pools run on local ` +
        "processes; for n workers start n + 1 ranks (mpirun -n 5 for four)",
    );
  }
  if (shim?.startsWith(TINY)) {
    yield warning(
      "NO_COMPILER",
      `in ${job} MPI is bound by Bun's own C compiler, anew at each start (100 ms)` +
        `${mpicc?.error ? `, because ${mpicc.error}` : ""}; ${remedy(launcher.family)}`,
    );
  }
  yield* ofRanks(facts, job);
  yield* ofCores(facts);
  yield* ofSpeed(facts, job);
}

/** Which kind of error keeps a job from MPI. */
function codeOf({ matches }: JobFacts, mpicc: MpiccFacts | null): string {
  if (mpicc === null) return "COMPILER_MISSING";
  if (matches === false) return "LAUNCHER_MISMATCH";
  if (mpicc.error === null) return "MPI_UNUSABLE";
  const noHeader = mpicc.header === false && mpicc.error.includes("mpi.h");
  return noHeader ? "HEADERS_MISSING" : "COMPILER_BROKEN";
}

function* ofRanks({ size, silent, ranks }: JobFacts, job: string): Iterable<Problem> {
  const never = silent.filter(({ pid }) => pid === null);
  const later = silent.filter(({ pid }) => pid !== null);
  if (never.length > 0) {
    const [subject, verb] = never.length > 1 ? ["ranks", "they run"] : ["rank", "it runs"];
    const names = never.map(({ rank, host }) => `${rank} on ${host}`).join(", ");
    yield error(
      "RANKS_SILENT",
      `in ${job} of ${size} ranks, ${subject} ${names} did not answer: look whether ${verb} ` +
        "this command too, and whether the network lets rank 0 be reached",
    );
  }
  if (later.length > 0) {
    const [subject, verb] = later.length > 1 ? ["ranks", "they were"] : ["rank", "it was"];
    const names = later.map(({ rank, host, pid }) => `${rank} on ${host} (pid ${pid})`).join(", ");
    yield error(
      "RANKS_SILENT",
      `in ${job} of ${size} ranks, ${subject} ${names} answered at first, and then no more: ` +
        `look whether ${verb} stopped (SIGSTOP, a debugger), or cut off from rank 0`,
    );
  }
  const versions = versionsOf(ranks.map(({ host, bun }) => [host, bun]));
  if (versions.size > 1) yield warning("BUN_DIFFERS", differing(`Bun, in ${job},`, versions));
}

function* ofCores({ hosts }: JobFacts): Iterable<Problem> {
  for (const facts of hosts) {
    const { host, ranks, coresOfRanks, cores, oversubscribed } = facts;
    if (oversubscribed) {
      yield warning("OVERSUBSCRIBED", sharing(facts));
    } else if (coresOfRanks === ranks && cores >= 2 * ranks) {
      yield warning(
        "BOUND_TO_ONE_CORE",
        `each of the ${ranks} ranks on ${host} is bound to one of its ${cores} cores, which ` +
          "Bun's own threads share with the tasks; --map-by slot:PE=2 or --bind-to none (Open " +
          "MPI), --cpus-per-task=2 (Slurm)",
      );
    }
  }
}

/** Ranks that have to share cores: how many, why, and what to do. */
function sharing({ host, ranks, coresOfRanks, cores, quota }: HostFacts): string {
  const usable = Math.min(coresOfRanks, quota ?? Infinity);
  const count = `${usable} ${usable === 1 ? "core" : "cores"}`;
  const sleeps =
    "rank 0 sleeps while there is nothing to give out, so one more rank than cores is fine";
  if (ranks > cores) {
    return (
      `${ranks} ranks share ${count} on ${host}: nobody spins there, and messages take longer; ` +
      sleeps
    );
  }
  if (usable < ranks) {
    const why =
      usable === coresOfRanks
        ? "that is what they are bound to (taskset, --cpuset-cpus, the batch system's share)"
        : "that is the limit of their control group (docker --cpus, the batch system's share)";
    return (
      `${ranks} ranks share ${count} of the ${cores} on ${host}, and take turns: ${why}; ` + sleeps
    );
  }
  return (
    `ranks on ${host} share cores, though there are ${coresOfRanks} for ${ranks} ranks: several ` +
    "are bound to the same, or other containers of that machine have ranks there, too; " +
    "--bind-to none (Open MPI), or bind each to its own"
  );
}

function* ofSpeed({ ranks, hosts, transport }: JobFacts, job: string): Iterable<Problem> {
  if (transport?.memory === false && hosts.some((host) => host.ranks > 1)) {
    yield warning(
      "NO_SHARED_MEMORY",
      `ranks of one host reach each other by ${transport.name} in ${job}, not through memory: ` +
        "look for OMPI_MCA_btl, --mca btl, or a container without /dev/shm",
    );
  }
  const [home] = hosts;
  if (home === undefined || home.oversubscribed) return;
  const slow = ranks.filter(({ host, pingUs }) => host === home.host && (pingUs ?? 0) > SLOW_US);
  if (slow.length === 0) return;
  const names = slow.map(({ rank, pingUs }) => `rank ${rank} in ${pingUs} µs`).join(", ");
  yield warning(
    "SLOW",
    `round trips within ${home.host} take long in ${job}: ${names}, where 1 to 10 µs are usual; ` +
      "is the machine busy, are several ranks bound to one core?",
  );
}
