/**
 * What tasks write arrives, however their processes end. The reader takes in nothing before the pipe is full and
 * somebody waits for it.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writing } from "../src/os/output.ts";
import { until } from "./contract/assert.ts";
import { AS_ROOT, mpirunCommand, type TestFamily } from "./mpi/launch.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/writing.ts");
const UNREAD = join(import.meta.dir, "contract/fixtures/unread.ts");
const COUNT = 100;
const FULL_MS = 40_000;
const TEST_MS = 60_000;

/** $1 is the descriptor that is read. A shell's pipe: what Bun gives its children is a socket. */
const SCRIPT =
  "mkfifo gate; fd=$1; shift; " +
  '{ echo $BASHPID >pid.new; mv pid.new pid; if [ $fd = 1 ]; then exec "$@" 2>other; else exec "$@" 2>&1 >other; fi; } | ' +
  "{ read -r word <gate; [ $word = read ] && cat; } >out";

interface Told {
  readonly exitCode: number;
  /** What came, of each line its number; and all that is no such line. */
  readonly results: number[];
  readonly rest: string;
  readonly other: string;
}

class Program implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "output-"));
  readonly #shell: Bun.Subprocess;

  constructor(
    mode: "local" | TestFamily,
    args: string[],
    { program = PROGRAM, env = {} }: { program?: string; env?: Record<string, string> } = {},
  ) {
    const start =
      mode === "local" ? [process.execPath, "run", program] : mpirunCommand(mode, 3, program);
    const fd = args[0] === "stderr" ? "2" : "1";
    this.#shell = Bun.spawn(
      ["bash", "-o", "pipefail", "-c", SCRIPT, "bash", fd, ...start, ...args],
      { cwd: this.#folder, env: { ...process.env, ...AS_ROOT, ...env }, stdin: "ignore" },
    );
  }

  /** Resolves when somebody waits for the reader, or all have ended. */
  async full(): Promise<void> {
    await until("the program", () => existsSync(join(this.#folder, "pid")));
    const writing = new Writing(this.#pid);
    await until("the pipe to be full", () => writing.goesOn || this.isOver, FULL_MS);
  }

  get #pid(): number {
    return Number(this.#read("pid"));
  }

  get isOver(): boolean {
    try {
      return /\) Z /.test(readFileSync(`/proc/${this.#pid}/stat`, "latin1"));
    } catch {
      return true;
    }
  }

  /** Lets the reader begin; or end. */
  tellReader(word: "read" | "leave"): void {
    writeFileSync(join(this.#folder, "gate"), `${word}\n`);
  }

  /** Resolves with what has come when all have ended. */
  async told(): Promise<Told> {
    const exitCode = await this.#shell.exited;
    const text = this.#read("out");
    // Launchers do not keep lines together.
    const results = Array.from(text.matchAll(/result (\d+)/g), ([, i]) => Number(i));
    const rest = text.replace(/result \d+|[x\s]/g, "");
    return {
      exitCode,
      results: results.sort((a, b) => a - b),
      rest,
      other: this.#read("other"),
    };
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), "utf8");
  }

  [Symbol.dispose](): void {
    this.#shell.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

async function run(mode: "local" | TestFamily, ...args: string[]): Promise<Told> {
  using program = new Program(mode, args);
  await program.full();
  program.tellReader("read");
  return await program.told();
}

const ALL = Array.from({ length: COUNT }, (_, i) => i);
const it = (sentence: string, run: () => Promise<void>) => test(sentence, run, TEST_MS);

describe("local processes", () => {
  for (const means of [
    "stdout",
    "stderr",
    "console",
    "sink",
    "stream",
    "write",
    "Bun.write",
    "child",
  ]) {
    it(`${means}: all of it, when the pool is closed`, async () => {
      expect(await run("local", means, "close")).toMatchObject({ exitCode: 0, results: ALL });
    });
  }

  for (const means of ["stdout", "sink", "stream"]) {
    for (const end of ["close and exit", "terminate", "exit", "nothing"]) {
      it(`${means}: all of it, and then ${end}`, async () => {
        expect(await run("local", means, end)).toMatchObject({ exitCode: 0, results: ALL });
      });
    }

    it(`${means}: all of it, and the program throws`, async () => {
      const { exitCode, results, other } = await run("local", means, "throw");
      expect(other).toContain("the program's own");
      expect({ exitCode, results }).toEqual({ exitCode: 1, results: ALL });
    });

    it(`${means}: all of it, of workers that are replaced`, async () => {
      expect(await run("local", means, "close", "max")).toMatchObject({ results: ALL });
    });

    it(`${means}: all of it, of workers that would not end by themselves`, async () => {
      expect(await run("local", means, "close", "stay")).toMatchObject({ results: ALL });
    });
  }

  // What a stream of the program's own still holds in JavaScript `process.exit` drops, as it does anywhere.
  for (const means of ["stdout", "sink"]) {
    it(`${means}: all of it, and process.exit in tasks`, async () => {
      const { exitCode, results, rest } = await run("local", means, "task exits");
      expect({ exitCode, results }).toEqual({ exitCode: 0, results: ALL });
      expect(rest.match(/thelastwords/g)).toHaveLength(2);
    });
  }

  it("each line is whole, of all workers that write to the same pipe", async () => {
    const { results, rest } = await run("local", "stdout", "close");
    expect({ results, rest }).toEqual({ results: ALL, rest: "" });
  });
});

describe.each(mpiFamilies())("%s, 3 ranks", (mode) => {
  const test = testsUnder(mode);
  for (const means of ["stdout", "sink", "stream"]) {
    for (const end of ["close", "exit"]) {
      for (const option of ["", "isolate"]) {
        const how = option === "" ? "" : ", isolated";
        test(
          `${means}: all of it, and then ${end}${how}`,
          async () => {
            expect(await run(mode, means, end, option)).toMatchObject({
              exitCode: 0,
              results: ALL,
            });
          },
          TEST_MS,
        );
      }
    }

    test(
      `${means}: all of it, and process.exit in tasks, isolated`,
      async () => {
        expect(await run(mode, means, "task exits", "isolate")).toMatchObject({ results: ALL });
      },
      TEST_MS,
    );
  }
});

describe("a reader that takes in nothing", () => {
  // Ten minutes of the real clock are three seconds of this one.
  const env = { BSYNC_TEST_CLOCK: "0.005" };

  for (const [means, program] of [
    ["stdout", UNREAD],
    ["sink", PROGRAM],
  ] as const) {
    it(`${means}: the program ends all the same, and says so`, async () => {
      using job = new Program("local", [means, "close"], { program, env });
      await job.full();
      // The pipe has what fits, and its reader is there until the program has ended.
      await until("the program to end", () => job.isOver, FULL_MS);
      job.tellReader("read");
      const { results, other } = await job.told();
      expect(results.length).toBeLessThan(COUNT);
      expect(other).toContain("is lost in part");
    });

    it(`${means}: the program ends when the reader is gone`, async () => {
      using job = new Program("local", [means, "close"], { program });
      await job.full();
      job.tellReader("leave");
      await until("the program to end", () => job.isOver, FULL_MS);
    });
  }
});
