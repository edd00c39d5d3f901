/** What is wrong, and what to do about it: pure functions of what was found. */
import { familyName } from "../../mpi/shim/find-mpicc.ts";
import { packagesOf } from "../../mpi/shim/load.ts";
import { readSwitch } from "../../os/settings.ts";
import { ofJob } from "./job-problems.ts";
import { ofLaunch } from "./launch-problems.ts";
import { asRoot, error, warning } from "./problem-texts.ts";
import type { CacheFacts, MpiFacts, Problem, Report } from "./report.ts";

/** What is found before anything is judged. */
export type Findings = Omit<Report, "problems" | "ok">;

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

/** Not of the same series, as 4.1 is one. */
function differ(a: string | null, b: string | null): boolean {
  const series = (version: string) => version.split(".").slice(0, 2).join(".");
  return a !== null && b !== null && series(a) !== series(b);
}
