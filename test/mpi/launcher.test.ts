import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { findLauncher, findStrayTask, withoutLauncher } from "../../src/mpi/launcher/launcher.ts";
import { AS_ROOT, mpirunCommand, run } from "./launch.ts";
import { mpiFamilies } from "../setup/mpi.ts";

setDefaultTimeout(60_000);

const OPENMPI = { OMPI_COMM_WORLD_RANK: "2", OMPI_COMM_WORLD_SIZE: "4" };
const HYDRA = { PMI_RANK: "1", PMI_SIZE: "3", PMI_FD: "6", MPI_LOCALNRANKS: "3" };

test("no launcher, as far as these environments tell", () => {
  const environments: Record<string, string>[] = [
    {},
    { PATH: "/usr/bin", HOME: "/root" },
    { OMPI_COMM_WORLD_RANK: "2", OMPI_MCA_btl: "self" },
    { OMPI_COMM_WORLD_RANK: "", OMPI_COMM_WORLD_SIZE: "" },
    { OMPI_COMM_WORLD_RANK: "x", OMPI_COMM_WORLD_SIZE: "4" },
    { OMPI_COMM_WORLD_RANK: "4", OMPI_COMM_WORLD_SIZE: "4" },
    { OMPI_COMM_WORLD_RANK: "-1", OMPI_COMM_WORLD_SIZE: "4" },
    { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "0" },
    { PMI_RANK: "0" },
    // A batch job, and a step of one that was started without an MPI plugin.
    { SLURM_JOB_ID: "7", SLURM_NTASKS: "4", SLURM_PROCID: "0" },
    { SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "4", SLURM_PROCID: "1" },
    { FLUX_TASK_RANK: "0", FLUX_JOB_SIZE: "2" },
  ];
  for (const environment of environments) expect(findLauncher(environment)).toBeNull();
});

test("Open MPI's mpirun", () => {
  const expected = { family: "openmpi", name: "Open MPI's mpirun", rank: 2, size: 4 } as const;
  expect(findLauncher(OPENMPI)).toEqual(expected);
  expect(findLauncher({ ...OPENMPI, PMIX_RANK: "2", SLURM_STEP_ID: "0" })).toEqual(expected);
});

test("MPICH's Hydra, inside a batch job too", () => {
  const expected = { family: "mpich", name: "MPICH's mpirun", rank: 1, size: 3 } as const;
  expect(findLauncher(HYDRA)).toEqual(expected);
  expect(findLauncher({ ...HYDRA, SLURM_STEP_ID: "0", SLURM_NTASKS: "9" })).toEqual(expected);
  expect(findLauncher({ PMI_RANK: "1", PMI_SIZE: "3" })).toEqual(expected);
});

test("MPICH's Hydra with -pmi-port, where only MPI knows how many ranks there are", () => {
  const environment = { PMI_PORT: "here:41397", PMI_ID: "1", MPI_LOCALNRANKS: "3" };
  const expected = { family: "mpich", name: "MPICH's mpirun", rank: 1, size: 0 } as const;
  expect(findLauncher(environment)).toEqual(expected);
  expect(findLauncher({ PMI_ID: "1" })).toBeNull();
});

test("a batch system's launcher serves either family", () => {
  const srun = { family: "unknown", name: "Slurm's srun", rank: 1, size: 3 } as const;
  const step = { SLURM_STEP_ID: "0", SLURM_NTASKS: "3", SLURM_PROCID: "1" };
  expect(findLauncher({ ...step, PMIX_RANK: "1" })).toEqual(srun);
  expect(findLauncher({ ...step, PMI_RANK: "1", PMI_SIZE: "3", PMI_FD: "5" })).toEqual(srun);
  expect(findLauncher({ ...step, SLURM_STEP_NUM_TASKS: "2", PMIX_RANK: "1" })?.size).toBe(2);
  const flux = { FLUX_TASK_RANK: "1", FLUX_JOB_SIZE: "3", PMI_RANK: "1", PMI_SIZE: "3" };
  expect(findLauncher(flux)).toEqual({ ...srun, name: "Flux" });
});

test("a PMIx launcher that tells no size", () => {
  expect(findLauncher({ PMIX_RANK: "5" })).toEqual({
    family: "unknown",
    name: "a PMIx launcher",
    rank: 5,
    size: 0,
  });
});

test("tasks that srun has told nothing of MPI", () => {
  const step = { SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "4", SLURM_PROCID: "1" };
  expect(findStrayTask(step)).toEqual({ task: 1, tasks: 4 });
  expect(findStrayTask({ ...step, PMIX_RANK: "1" })).toBeNull();
  expect(findStrayTask({ ...step, SLURM_STEP_NUM_TASKS: "1", SLURM_PROCID: "0" })).toBeNull();
  expect(findStrayTask({ SLURM_JOB_ID: "7", SLURM_NTASKS: "4", SLURM_PROCID: "0" })).toBeNull();
  expect(findStrayTask({})).toBeNull();
});

test.each(["pool", "world"])("a task of srun that stands alone is no program: %s", async (what) => {
  const root = join(import.meta.dir, "../..");
  const program =
    what === "pool"
      ? `import { AsyncPool } from "${root}/index.ts"; await using pool = await AsyncPool.open(1);`
      : `import { world } from "${root}/mpi.ts"; console.log(world.size);`;
  const step = { SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "4", SLURM_PROCID: "1" };
  const command = [process.execPath, "-e", program];
  const { exitCode, stdout, stderr } = await run(command, step);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain(
    "Cannot start as task 1 of 4: Slurm's srun has told the tasks nothing of",
  );
  if (what === "pool") {
    expect((await run(command, { ...step, BSYNC_USE_MPI: "0" })).exitCode).toBe(0);
  }
});

test("nothing inherited is a setting", () => {
  expect(findLauncher(Object.create({ ...OPENMPI, ...HYDRA, PMIX_RANK: "1" }))).toBeNull();
  const child = withoutLauncher(Object.create({ inherited: "yes" }));
  expect(child).toEqual({});
  expect(Object.keys(withoutLauncher({ constructor: "x", ...HYDRA }))).toEqual(["constructor"]);
});

test("a copy without the launcher keeps the rest, and the original as it was", () => {
  const task = { SLURM_STEP_ID: "0", SLURM_STEPID: "0", SLURM_PROCID: "1" };
  const kept = { PATH: "/bin", SLURM_JOB_ID: "3", MPI_HOME: "/opt/mpi" };
  const original = { ...OPENMPI, ...HYDRA, ...task, ...kept };
  const before = { ...original };
  expect(withoutLauncher(original)).toEqual(kept);
  expect(original).toEqual(before);
});

const SETTINGS = {
  OMPI_MCA_btl: "self",
  OMPI_CC: "cc",
  HYDRA_LAUNCHER: "ssh",
  PMIX_MCA_gds: "hash",
};

test("a copy without the launcher keeps what the user has set for MPI", () => {
  expect(withoutLauncher({ ...OPENMPI, ...HYDRA, ...SETTINGS })).toEqual(SETTINGS);
});

test("where no launcher is, nothing is left out", () => {
  const env = { ...SETTINGS, SLURM_STEP_ID: "4", SLURM_PROCID: "0", OMPI_MCA_ess: "env" };
  expect(withoutLauncher(env)).toEqual(env);
});

test("of a given environment that is left out which is the process's own", () => {
  const given = { ...OPENMPI, OMPI_COMM_WORLD_RANK: "7", PMIX_ID: "9" };
  const kept = { OMPI_COMM_WORLD_RANK: "7", PMIX_ID: "9" };
  expect(withoutLauncher(given, { ...OPENMPI, PMIX_ID: "8" })).toEqual(kept);
});

test("a setting that launchers make, too, stays where the launcher itself had it", () => {
  const set = { OMPI_MCA_orte_tmpdir_base: "/scratch" };
  const own = { ...OPENMPI, ...set };
  expect(withoutLauncher(own)).toEqual({});
  expect(withoutLauncher(own, own, { OMPI_MCA_orte_tmpdir_base: "/tmp" })).toEqual({});
  expect(withoutLauncher(own, own, { PATH: "/bin", ...set })).toEqual(set);
});

describe.each(mpiFamilies())("%s", (family) => {
  /** The environment of rank 1 of 2, from the launcher itself. */
  async function environment(): Promise<Record<string, string>> {
    const print =
      "const { OMPI_COMM_WORLD_RANK, PMI_RANK } = process.env;" +
      "if ((OMPI_COMM_WORLD_RANK ?? PMI_RANK) === '1') console.log(JSON.stringify(process.env))";
    const command = mpirunCommand(family, 2, "").slice(0, -2);
    const { stdout } = await run([...command, "-e", print], {
      ...AS_ROOT,
    });
    return JSON.parse(stdout);
  }

  test("the real environment of a rank", async () => {
    const env = await environment();
    expect(findLauncher(env)).toMatchObject({ family, rank: 1, size: 2 });
    const child = withoutLauncher(env);
    expect(findLauncher(child)).toBeNull();
    // All that the launcher added is gone, and nothing that was there before is.
    const before = { ...process.env, ...AS_ROOT, _: "" };
    const added = Object.keys(child).filter((name) => !(name in before));
    expect(added).toEqual([]);
    expect(child["PATH"]).toBe(process.env["PATH"]!);
  });
});

describe.each(mpiFamilies().filter((family) => family === "mpich"))("%s", (family) => {
  test("mpirun -pmi-port: one job, and not so many copies of the program", async () => {
    const program =
      `import { AsyncPool, getSize } from "${join(import.meta.dir, "../../index.ts")}";` +
      "await using pool = await AsyncPool.open(); console.log(pool.size, getSize());";
    const command = [`mpirun.${family}`, "-pmi-port", "-n", "3", process.execPath, "-e", program];
    const { exitCode, stdout } = await run(command);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "2 3\n" });
  });

  test("mpirun -pmi-port: a rank that does not come is waited for as long as openTimeout says", async () => {
    const program =
      `import { AsyncPool, getRank } from "${join(import.meta.dir, "../../index.ts")}";` +
      "if (getRank() === 1) await new Promise((resolve) => setTimeout(resolve, 40_000));" +
      "await AsyncPool.open(1, { openTimeout: 700 });";
    const command = [`mpirun.${family}`, "-pmi-port", "-n", "2", process.execPath, "-e", program];
    const { exitCode, stderr } = await run(command);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain("MPI_Init did not finish within 700 ms");
  });
});
