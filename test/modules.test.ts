/** The modules of a program on its workers: as they are in the program itself, however it is laid out and started. */
import { describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Mode } from "./contract/case.ts";
import { mpirunProgram, type Outcome, run } from "./mpi/launch.ts";
import { type Program, PROGRAMS } from "./modules/programs.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const ROOT = join(import.meta.dir, "..");
const LIMIT_MS = 60_000;

/** A program in a folder of its own, with bsync installed. */
class Laid implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "modules-"));
  readonly path = join(this.#folder, "lab");

  constructor({ files }: Program) {
    this.#write("node_modules/bsync.link", ROOT);
    for (const [path, text] of Object.entries(files)) this.#write(path, text);
  }

  #write(path: string, text: string): void {
    const file = join(this.path, path);
    mkdirSync(dirname(file), { recursive: true });
    if (path.endsWith(".link")) symlinkSync(text, file.slice(0, -".link".length));
    else writeFileSync(file, text);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

async function outcomeOf(program: Program, mode: Mode, isolated: boolean): Promise<Outcome> {
  using laid = new Laid(program);
  const bun = (args: readonly string[]) => [process.execPath, ...args];
  for (const args of program.before ?? []) {
    const { exitCode, stderr } = await run(["env", "-C", laid.path, ...bun(args)]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  }
  for (const path of program.gone ?? []) {
    renameSync(join(laid.path, path), join(laid.path, `${path}-gone`));
  }
  const command = ["env", "-C", laid.path, ...bun(program.start ?? ["job.ts"])];
  if (mode === "local") return await run(command);
  return await mpirunProgram(mode, 2, command, isolated ? { ISOLATED: "1" } : {});
}

/** Of the programs one in so many is played under each MPI, and one of as many isolated. */
const SHARES = 10;

describe("modules", () => {
  for (const mode of ["local", ...mpiFamilies()] as const) {
    for (const isolated of mode === "local" ? [false] : [false, true]) {
      const test = testsUnder(mode, SHARES);
      for (const [name, program] of Object.entries(PROGRAMS)) {
        test(
          `${mode}${isolated ? ", isolated" : ""}: ${name}`,
          async () => {
            const { exitCode, stdout, stderr } = await outcomeOf(program, mode, isolated);
            const lines = stdout.split("\n").filter((line) => line !== "");
            expect({ exitCode, lines, stderr }).toEqual({
              exitCode: 0,
              lines: [...program.prints],
              stderr: "",
            });
          },
          LIMIT_MS,
        );
      }
    }
  }
});
