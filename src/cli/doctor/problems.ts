/** What is wrong, and what to do about it: pure functions of what was found. */
import { familyName } from "../../mpi/shim/compiler.ts";
import { packagesOf, remedy } from "../../mpi/shim/load.ts";
import { TINY } from "../../mpi/shim/tinycc.ts";
import { readSwitch } from "../../os/settings.ts";
import type {
  CacheFacts,
  HostFacts,
  JobFacts,
  LaunchFacts,
  MpiccFacts,
  MpiFacts,
  PlaceFacts,
  Problem,
  Report,
} from "./report.ts";

/** What is found before anything is judged. */
export type Findings = Omit<Report, "problems" | "ok">;

/**
 * µs above which a round trip between ranks of one host is slow: where all is well it takes 1 to
 * 10.
 */
const SLOW_US = 100;

/** Everything that is wrong, errors first. */
export function diagnose(findings: Findings): Problem[] {
  const problems = [
    ...ofBun(findings),
    ...ofMemory(findings),
    ...ofCache(findings.cache),
    ...ofSettings(findings),
    ...ofTasks(findings),
    ...ofMpis(findings),
    ...(findings.launch ? ofLaunch(findings.launch) : []),
    ...(findings.job ? ofJob(findings.job, "this job") : []),
  ];
  // Without a place for it nothing that was compiled can be kept: one reason is enough.
  const nowhere = problems.some(({ code }) => code === "CACHE_UNUSABLE");
  const told = problems.filter(({ code }) => !(nowhere && code === "NO_COMPILER"));
  return told.sort((a, b) => Number(b.level === "error") - Number(a.level === "error"));
}

function error(code: string, text: string): Problem {
  return { level: "error", code, text };
}

function warning(code: string, text: string): Problem {
  return { level: "warning", code, text };
}

function* ofBun({ bun }: Findings): Iterable<Problem> {
  if (bun.ok) return;
  const cure = "bun upgrade, or npm install bun@latest in the project";
  const text = `Bun ${bun.version} (${bun.path}) is too old, bsync needs ${bun.required}: ${cure}`;
  yield error("BUN_TOO_OLD", text);
}

function* ofMemory({ machine }: Findings): Iterable<Problem> {
  const { folder, usable, freeBytes, instead } = machine.sharedMemory;
  if (usable) return;
  const found =
    freeBytes === null
      ? "is missing"
      : `cannot be used (${Math.floor(freeBytes / 2 ** 20)} MiB are free there)`;
  yield warning(
    "SHARED_MEMORY",
    `${folder} ${found}: ${consequence(instead)}; mount a tmpfs at ${folder}, or give the ` +
      "container more of it (docker run --shm-size=1g)",
  );
}

function consequence(instead: string | null): string {
  return instead === null
    ? "nor can the temporary folder, and pools of local workers cannot be opened"
    : `what local workers share lies in ${instead}, and its disk has that to write now and then`;
}

function* ofCache(cache: CacheFacts): Iterable<Problem> {
  const { folder, writable } = cache;
  if (writable === null) {
    yield warning(
      "CACHE_UNUSABLE",
      `${folder} cannot be written to, and neither can the folder in its place: MPI is bound ` +
        "anew by Bun's own C compiler at each start; name a folder of yours with BSYNC_CACHE_DIR",
    );
  } else if (writable !== folder) {
    yield warning(
      "CACHE_ELSEWHERE",
      `${folder} cannot be written to: bindings to MPI are kept in ${writable}, which may not ` +
        "outlive a reboot; make it writable, or name another folder with BSYNC_CACHE_DIR",
    );
  }
  for (const { path, current, state, why } of cache.shims) {
    if (state === "repaired") {
      const text = `the binding ${path} was no good (${why}): it has been built again, all is well`;
      yield warning("SHIM_REPAIRED", text);
    } else if (current && state !== "loads") {
      const code = state === "damaged" ? "SHIM_DAMAGED" : "SHIM_BROKEN";
      const cure = "it is built again when it is next needed; if it stays so, remove it";
      yield warning(code, `the binding ${path} is no good (${why}): ${cure}`);
    }
  }
}

function* ofSettings({ settings, job }: Findings): Iterable<Problem> {
  const { BSYNC_USE_MPI: text = "" } = settings;
  const use = readSwitch(text.trim());
  if (use === false && job !== null && job.size > 1) {
    yield warning(
      "MPI_SWITCHED_OFF",
      `BSYNC_USE_MPI=${text}: under this launcher ${job.size} copies of a program run, each ` +
        "with local workers of its own; unset it",
    );
  }
  if (use === true && job === null) {
    yield warning(
      "MPI_DEMANDED",
      `BSYNC_USE_MPI=${text}: programs that no launcher starts fail; unset it, or start them ` +
        "with mpirun",
    );
  }
}

function* ofTasks({ strayTasks }: Findings): Iterable<Problem> {
  if (strayTasks === 0) return;
  yield error(
    "STRAY_TASKS",
    `srun has started ${strayTasks} tasks and told them nothing of MPI: each is a program of ` +
      "its own, with local workers; srun --mpi=pmix suits Open MPI, --mpi=pmi2 MPICH, and srun " +
      "--mpi=list tells what this Slurm has",
  );
}

function* ofMpis({ mpis, broken, settings, job, launch }: Findings): Iterable<Problem> {
  for (const { path, why } of broken) {
    yield warning("COMPILER_IGNORED", `${path} is left alone: ${why}; repair it, or remove it`);
  }
  // Those who are in a job have found their MPI, or are told below why not.
  if (job !== null || launch !== null) return;
  if (mpis.length === 0) {
    yield warning(
      "NO_MPI",
      "there is no MPI on this machine: pools run on local processes (bun run job.ts); for jobs " +
        `of MPI, here or on several hosts, install one: ${packagesOf("unknown")}`,
    );
  }
  for (const [place, mpi] of mpis.entries()) {
    // Of two families only one can be meant: by the name of its mpicc, or by a plain `mpirun`.
    const chosen = settings["BSYNC_MPICC"] === undefined || place === 0;
    yield* ofMpi(mpi, chosen);
  }
}

function* ofMpi(mpi: MpiFacts, chosen: boolean): Iterable<Problem> {
  const { mpirun, mpicc, trial } = mpi;
  const name = `${familyName(mpi.family)}${mpi.version ? ` ${mpi.version}` : ""}`;
  if (mpirun === null) {
    const failed = mpicc?.error ? `, and it fails: ${mpicc.error}` : "";
    yield warning(
      "NO_LAUNCHER",
      `${mpicc?.path} belongs to ${name}, of which there is no mpirun here${failed}; jobs may ` +
        `still be started by a batch system (srun); for mpirun: ${packagesOf(mpi.family)}`,
    );
    return;
  }
  const compiled = mpicc?.version ?? null;
  if (mpi.family === "openmpi" && mpicc?.family === "openmpi" && differ(mpi.version, compiled)) {
    yield warning(
      "VERSIONS_DIFFER",
      `${mpirun.path} is of Open MPI ${mpi.version}, but its jobs would use ${mpicc.path}, of ` +
        `Open MPI ${compiled}: name the mpicc beside that mpirun with BSYNC_MPICC`,
    );
  }
  if (trial === null) return;
  if (trial.command.includes("--allow-run-as-root")) {
    yield warning(
      "ROOT_REFUSED",
      `${name} does not start anything as root unless it is told to: ${asRoot(mpirun.path)}`,
    );
  }
  if (trial.failure !== null) {
    const text = `${mpirun.path} cannot start a job: \`${trial.command}\`: ${trial.failure}`;
    yield error("LAUNCHER_FAILED", text);
  }
  if (trial.job === null) return;
  for (const problem of ofJob(trial.job, `a job of ${mpirun.path}`, mpicc)) {
    // How two ranks of doctor's own are placed says nothing of other jobs.
    if (problem.code === "BOUND_TO_ONE_CORE" || problem.code === "OVERSUBSCRIBED") continue;
    const foreign = problem.code === "LAUNCHER_MISMATCH" && !chosen;
    yield foreign ? { ...problem, level: "warning" } : problem;
  }
}

/** How Open MPI is told that it may run as root. */
function asRoot(mpirun: string): string {
  const variables = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1";
  return `${mpirun} --allow-run-as-root …, or ${variables} in the environment`;
}

/** Not of the same series, as 4.1 is one. */
function differ(a: string | null, b: string | null): boolean {
  const series = (version: string) => version.split(".").slice(0, 2).join(".");
  return a !== null && b !== null && series(a) !== series(b);
}

function* ofLaunch({ command, hosts, failure }: LaunchFacts): Iterable<Problem> {
  if (failure !== null) {
    const text =
      `\`${command}\` cannot be started, with a look at each host in the place of ` +
      "the program: ";
    const isRefused = failure.includes("attempt to run as root");
    yield isRefused
      ? error(
          "ROOT_REFUSED",
          `Open MPI does not start anything as root unless it is told to: ${asRoot("mpirun")}`,
        )
      : error("LAUNCHER_FAILED", text + failure);
  }
  for (const facts of hosts) yield* ofPlace(facts);
  const buns = versionsOf(hosts.map(({ host, bun }) => [host, bun.version]));
  if (buns.size > 1) yield warning("BUN_DIFFERS", differing("Bun", buns));
  const own = versionsOf(hosts.map(({ host, bsync }) => [host, bsync?.version ?? null]));
  if (own.size > 1) yield warning("BSYNC_DIFFERS", differing("bsync", own));
}

function* ofPlace({ host, bun, folder, program, missing, bsync, mpi }: PlaceFacts) {
  if (folder === null) {
    const text =
      `on ${host} Bun does not run: it is not in the PATH that programs have there, ` + bun.path;
    yield error("BUN_MISSING", `${text}; install it, or give its whole path in the command`);
    return;
  }
  if (program?.found === false) {
    const cure = "copy it there, or start it from a file system that all hosts share";
    const kinds = program.path.startsWith("/")
      ? ""
      : ", no file, script of package.json or command of a package";
    yield error("PROGRAM_MISSING", `on ${host} there is no ${program.path}${kinds}: ${cure}`);
  }
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(", ");
    yield error(
      "PACKAGE_MISSING",
      `on ${host} ${program?.path} imports ${names}, which cannot be found there: run bun ` +
        "install on that host, or put the program with its node_modules on a file system that " +
        "all hosts share",
    );
  }
  if (bsync?.error) {
    const text = `on ${host} bsync, in ${bsync.path}, does not load: ${bsync.error}`;
    yield error("PACKAGE_BROKEN", `${text}; install it there anew`);
  }
  if (mpi?.error) yield error("MPI_UNUSABLE", `on ${host}: ${mpi.error}`);
}

/** `job` names it in a message. `mpicc` is what was found out about its compiler beforehand. */
function* ofJob(facts: JobFacts, job: string, mpicc = facts.mpicc): Iterable<Problem> {
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

/** Versions of one thing, each with the hosts that have it; those that have none are left out. */
function versionsOf(found: readonly (readonly [host: string, version: string | null])[]) {
  const versions = new Map<string, Set<string>>();
  for (const [host, version] of found) {
    if (version === null) continue;
    if (!versions.has(version)) versions.set(version, new Set());
    versions.get(version)!.add(host);
  }
  return versions;
}

function differing(what: string, versions: ReadonlyMap<string, ReadonlySet<string>>): string {
  const where = Array.from(
    versions,
    ([version, hosts]) => `${version} on ${[...hosts].join(", ")}`,
  );
  return `${what} is not the same on all hosts: ${where.join("; ")}; install one version`;
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

/** Which kind of error keeps a job from MPI. */
function codeOf({ matches }: JobFacts, mpicc: MpiccFacts | null): string {
  if (mpicc === null) return "COMPILER_MISSING";
  if (matches === false) return "LAUNCHER_MISMATCH";
  if (mpicc.error === null) return "MPI_UNUSABLE";
  const noHeader = mpicc.header === false && mpicc.error.includes("mpi.h");
  return noHeader ? "HEADERS_MISSING" : "COMPILER_BROKEN";
}
