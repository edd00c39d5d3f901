/**
 * The programs of docs/guide.md: each block of code that names its file is written to a folder, and each transcript
 * (a block of `console`) is played there, command by command, as a reader would. `…` stands for any output.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { AS_ROOT, run } from "./mpi/launch.ts";
import { drawnFamilies } from "./setup/drawn.ts";
import { findMpi, type MpiFamily } from "./setup/mpi.ts";

const LIMIT_MS = 60_000;
const ROOT = join(import.meta.dir, "..");

interface Block {
  readonly language: string;
  /** From the words after the language, or from a comment in the first line. */
  readonly file: string | undefined;
  readonly text: string;
}

interface Step {
  readonly command: string;
  readonly output: string;
}

const GUIDE = blocksOf(await Bun.file(join(ROOT, "docs/guide.md")).text());

test("every program of the guide names its file, and is played by a transcript", () => {
  const programs = GUIDE.filter(({ language }) => language === "ts");
  expect(programs.length).toBeGreaterThan(10);
  expect(programs.filter(({ file }) => file === undefined)).toEqual([]);
  const played = stepsOf(GUIDE).map(({ command }) => command);
  const isPlayed = ({ file }: Block) => played.some((command) => command.includes(file!));
  const isImported = ({ file }: Block) => programs.some(({ text }) => text.includes(`./${file}"`));
  expect(programs.filter((program) => !isPlayed(program) && !isImported(program))).toEqual([]);
});

const families = drawnFamilies();
for (const family of families.length > 0 ? families : [null]) {
  describe(`the guide, with ${family ?? "no MPI"}`, () => {
    let folder = "";
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "bsync-guide-"));
      for (const { file, text } of GUIDE) if (file) await Bun.write(join(folder, file), text);
      await Bun.write(join(folder, "package.json"), "{}");
      await Bun.write(join(folder, "node_modules/.keep"), "");
      await symlink(ROOT, join(folder, "node_modules/bsync"));
      if (family !== null) await launcher(folder, family);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    for (const { command, output } of stepsOf(GUIDE)) {
      const isLaunched = command.includes("mpirun");
      if (isLaunched && family === null) continue;
      test(
        `$ ${command}`,
        async () => {
          const { stdout, stderr } = await run(["sh", "-c", `cd ${folder}; ${command}`], {
            ...AS_ROOT,
            PATH: `${folder}:${dirname(process.execPath)}:${process.env.PATH}`,
          });
          // An MPI has things of its own to say on stderr.
          const said = isLaunched ? stdout : stderr + stdout;
          expect(said).toMatch(patternOf(output));
        },
        LIMIT_MS,
      );
    }
  });
}

/** The family's `mpirun` under its plain name, with the options that tests need. */
async function launcher(folder: string, family: MpiFamily): Promise<void> {
  const { mpirun } = findMpi(family)!;
  const options = family === "openmpi" ? "--allow-run-as-root --oversubscribe" : "";
  const path = join(folder, "mpirun");
  await Bun.write(path, `#!/bin/sh\nexec ${mpirun} ${options} "$@"\n`);
  await chmod(path, 0o755);
}

function blocksOf(document: string): Block[] {
  const found = document.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm);
  return Array.from(found, ([, language = "", file, text = ""]) => {
    return { language, file: file ?? /^\/\/ (\S+\.ts)\n/.exec(text)?.[1], text };
  });
}

/** The commands of the transcripts, each with what it prints. */
function stepsOf(blocks: readonly Block[]): Step[] {
  const transcripts = blocks.filter(({ language }) => language === "console");
  return transcripts.flatMap(({ text }) =>
    Array.from(text.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm), ([, command = "", output = ""]) => {
      return { command, output };
    }),
  );
}

function patternOf(output: string): RegExp {
  const parts = output.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^]*?")}$`);
}
