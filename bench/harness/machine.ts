/** Where a run was made: what stands above its table. */
import { cpus, loadavg, release, totalmem } from "node:os";
import { readFileSync } from "node:fs";
import { busyStrangers, run } from "./process.ts";

/** A family of MPI that is here, or why it isn't. */
export interface Family {
  readonly id: "openmpi" | "mpich";
  readonly name: string;
  readonly launcher: string | null;
  readonly compiler: string | null;
  readonly version: string;
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly bun: string;
  readonly bsync: string;
  readonly mpi: readonly string[];
  readonly python: string;
  readonly date: string;
  /** Averages over 1, 5 and 15 minutes, before the run. */
  readonly load: readonly number[];
  readonly strangers: readonly string[];
}

const FAMILIES = [
  { id: "openmpi", name: "Open MPI", says: /\(Open MPI\) ([\w.]+)/ },
  { id: "mpich", name: "MPICH", says: /HYDRA[^]*?Version:\s*([\w.]+)/ },
] as const;

/** Debian installs both under names of their own; elsewhere `mpirun` is one of them. */
export async function findFamilies(): Promise<Family[]> {
  return await Promise.all(
    FAMILIES.map(async ({ id, name, says }): Promise<Family> => {
      for (const suffix of [`.${id}`, ""]) {
        const launcher = Bun.which(`mpirun${suffix}`);
        if (launcher === null) continue;
        const version = says.exec(await textOf(launcher, "--version"))?.[1];
        if (version === undefined) continue;
        return { id, name, launcher, compiler: Bun.which(`mpicc${suffix}`), version };
      }
      return { id, name, launcher: null, compiler: null, version: "" };
    }),
  );
}

export async function findPython(): Promise<{ path: string | null; version: string }> {
  // Debian's, since that is the one with Debian's mpi4py.
  const path = Bun.which("/usr/bin/python3") ?? Bun.which("python3");
  if (path === null) return { path, version: "no Python" };
  return { path, version: (await textOf(path, "--version")).trim() };
}

export async function describeMachine(
  families: readonly Family[],
  python: string,
): Promise<Machine> {
  const load = loadavg().map((value) => Number(value.toFixed(2)));
  const strangers = await busyStrangers();
  const kernel = /^[\d.]+/.exec(release())?.[0] ?? "";
  const manifest = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ) as { version: string };
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()}, Linux ${kernel}`,
    bun: Bun.version,
    bsync: manifest.version,
    mpi: families.map(({ name, launcher, version }) =>
      launcher === null ? `no ${name}` : `${name} ${version}`,
    ),
    python,
    date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
    load,
    strangers,
  };
}

function systemName(): string {
  try {
    const text = readFileSync("/etc/os-release", "utf8");
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(text)?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}

async function textOf(...command: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, { seconds: 10 });
    return stdout + stderr;
  } catch {
    return "";
  }
}
