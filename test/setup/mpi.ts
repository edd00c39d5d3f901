/**
 * Which MPIs the suite runs under, and getting them onto the machine where they are missing.
 *
 * The suite wants both families. What it leaves out, it leaves out because `BSYNC_TEST_MPI` says
 * so, and then it says so too: nothing is skipped because it happens not to be there.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";

export type MpiFamily = "openmpi" | "mpich";

const FAMILIES: readonly MpiFamily[] = ["openmpi", "mpich"];

/** What to ask a plain mpirun or mpicc, and what one of that family answers. */
const SIGNATURES = {
  openmpi: { mpirun: ["--version"], mpicc: ["--showme:version"], answer: /Open MPI|OpenRTE/ },
  mpich: { mpirun: ["--version"], mpicc: ["-v"], answer: /HYDRA|MPICH/ },
} as const;

const PACKAGES = ["openmpi-bin", "libopenmpi-dev", "mpich", "libmpich-dev", "gcc", "libc6-dev"];
const APT_FOLDER = "/var/lib/apt";
const UPDATE = ["apt-get", "update"];
const INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", ...PACKAGES];

/** What is here of one family. */
export interface MpiInstallation {
  /** The path of its mpirun. */
  readonly mpirun: string;
  /** The path of its mpicc. */
  readonly mpicc: string;
}

/**
 * The families to test, as `BSYNC_TEST_MPI` has it: left out or 1, both; 0, none; else those it
 * names (`BSYNC_TEST_MPI=mpich`). Every test that needs MPI loops over this.
 */
export function mpiFamilies(wanted = process.env.BSYNC_TEST_MPI ?? "1"): MpiFamily[] {
  if (wanted === "0") return [];
  if (wanted === "1" || wanted === "") return [...FAMILIES];
  return wanted.split(",").map((name) => {
    const family = FAMILIES.find((f) => f === name.trim());
    if (family) return family;
    throw new Error(`BSYNC_TEST_MPI must be 0, 1, openmpi or mpich, got ${JSON.stringify(wanted)}`);
  });
}

/** The MPI of that family, under Debian's names or as plain mpirun; undefined if it's not here. */
export function findMpi(family: MpiFamily): MpiInstallation | undefined {
  const mpirun = Bun.which(`mpirun.${family}`) ?? plain("mpirun", family);
  const mpicc = Bun.which(`mpicc.${family}`) ?? plain("mpicc", family);
  return mpirun && mpicc ? { mpirun, mpicc } : undefined;
}

/** Installs what `families` lack, where that can be done without asking anybody; else throws. */
export async function ensureMpi(families = mpiFamilies()): Promise<void> {
  const missing = families.filter((family) => !findMpi(family));
  if (missing.length > 0) await install(missing);
}

function plain(name: "mpirun" | "mpicc", family: MpiFamily): string | undefined {
  const path = Bun.which(name);
  if (!path) return undefined;
  const { [name]: question, answer } = SIGNATURES[family];
  const { stdout, stderr } = Bun.spawnSync([path, ...question], { stdin: "ignore" });
  return answer.test(`${stdout}${stderr}`) ? path : undefined;
}

async function install(missing: readonly MpiFamily[]): Promise<void> {
  const names = missing.join(" and ");
  if (!Bun.which("apt-get") || process.getuid?.() !== 0) {
    throw new Error(
      `Cannot run the tests: no ${names} here (mpirun and mpicc). On Debian and its kin, type\n\n` +
        `  sudo sh -c '${UPDATE.join(" ")} && ${INSTALL.join(" ")}'\n\n` +
        `To leave MPI out of the tests: BSYNC_TEST_MPI=0`,
    );
  }
  console.error(`test: no ${names} here; installing ${PACKAGES.join(" ")} …`);
  for (const command of [UPDATE, INSTALL]) await apt(command);

  const still = missing.filter((family) => !findMpi(family));
  if (still.length > 0) {
    throw new Error(`Cannot run the tests: installed, but found no ${still.join(" and ")}`);
  }
  console.error(`test: installed ${names}`);
}

export async function apt(command: readonly string[]): Promise<void> {
  const log = Bun.file(join(tmpdir(), `bsync-test-apt-${process.pid}.log`));
  // Others may be at it: another process of these tests, which has the lock on the folder, or another apt.
  const [program = "", ...args] = command;
  const waiting = ["flock", APT_FOLDER, program, "-q", "-o", "DPkg::Lock::Timeout=300", ...args];
  await using child = Bun.spawn(waiting, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const code = await child.exited;
  const output = await log.text();
  await log.delete();
  if (code !== 0) {
    const tail = output.trim().split("\n").slice(-20).join("\n");
    throw new Error(`Cannot run the tests: ${command.join(" ")} exited with ${code}\n${tail}`);
  }
}
