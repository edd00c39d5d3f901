/** What the references need before they can run: compiled, installed, or said to be missing. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Family } from "./machine.ts";
import { type Ended, run } from "./process.ts";
import type { Absent } from "./table.ts";

const BENCH = join(import.meta.dir, "..");

/** Compiled references: the path of each by the name of its family, for each name. */
export type Compiled = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Compiles the references in C with each family's own compiler and `flags`, into `folder`. */
export async function compileReferences(
  names: readonly string[],
  families: readonly Family[],
  folder: string,
  flags: readonly string[] = [],
): Promise<{ compiled: Compiled; absent: Absent[] }> {
  const compiled = new Map(names.map((name) => [name, new Map<string, string>()]));
  const absent: Absent[] = [];
  for (const { id, name: family, launcher, compiler } of families) {
    if (launcher === null) continue;
    for (const [name, programs] of compiled) {
      const who = `${name}.c, ${family}`;
      if (compiler === null) {
        absent.push({ who, what: "reference", reason: `there is no mpicc of ${family}` });
        continue;
      }
      const program = join(folder, `${name}-${id}`);
      const source = join(BENCH, `references/${name}.c`);
      const { code, stderr } = await attempt(
        [compiler, "-O2", ...flags, source, "-o", program],
        60,
      );
      if (code === 0) programs.set(family, program);
      else
        absent.push({ who, what: "reference", reason: `does not compile: ${firstLine(stderr)}` });
    }
  }
  return { compiled, absent };
}

/**
 * The other pools, into `bench/node_modules`, unless they are there. That they could not be
 * installed is no error: each of them says then that it is missing.
 */
export async function installPools(say: (text: string) => void): Promise<void> {
  if (existsSync(join(BENCH, "node_modules/piscina"))) return;
  say("installing the other pools into bench/node_modules");
  const install = [process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"];
  const { code, late, stderr } = await attempt(install, 60);
  if (code === 0) return;
  say(`they could not be installed: ${late ? "it took too long" : firstLine(stderr)}`);
}

async function attempt(command: readonly string[], seconds: number): Promise<Ended> {
  try {
    return await run(command, { seconds, cwd: BENCH });
  } catch (error) {
    const stderr = error instanceof Error ? error.message : String(error);
    return { code: null, late: false, stdout: "", stderr };
  }
}

function firstLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => line.includes("error")) ?? lines[0] ?? "no reason").slice(0, 120);
}
