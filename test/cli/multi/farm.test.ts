import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AS_ROOT, FAMILIES } from "../../mpi/launch.ts";
import { folder, ranks } from "../setup.ts";
import { BSYNC, type Played, run } from "./play.ts";

/** The ways to start the command. */
const WAYS: readonly (readonly [string, string[]])[] = [
  ["local", []],
  ...FAMILIES.map((family) => [family, ranks(family, 3)] as const),
];

const LIMIT_MS = 60_000;

/** Runs `bsync multi` with words, in a folder. */
function multi(before: readonly string[], path: string, ...words: string[]): Promise<Played> {
  return run([...before, ...BSYNC, ...words], path, "", { ...AS_ROOT, TMPDIR: path });
}

function linesOf(path: string, name: string): string[] {
  return readFileSync(join(path, name), "utf8").trimEnd().split("\n");
}

/** The number and the command of each line of a log. */
function logged(path: string, name = "log"): string[] {
  const fields = linesOf(path, name).map((line) => line.split("\t"));
  return fields.slice(1).map((one) => `${one[0]} ${one[6]} ${one[7]} ${one[8]}`);
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await Bun.sleep(20);
}

/** Processes whose command line is this. */
function running(command: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
      const state = /\) (\S)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1];
      return words.join(" ") === command && state !== "Z" ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** A number of seconds that no other test sleeps. */
let seconds = 70_000 + (process.pid % 10_000);
function ownSleep(): string {
  return `sleep ${++seconds}.5`;
}

describe.each(WAYS)("%s", (_, before) => {
  test(
    "a log is resumed from, and not one of another command",
    async () => {
      await using work = await folder();
      const { path } = work;
      const log = ["--joblog", "log"];
      const first = await multi(before, path, "-j1", ...log, "exit {};", ":::", "0", "1", "0");
      expect(first.exitCode).toBe(1);
      expect(logged(path)).toEqual(["1 0 0 exit 0;", "2 1 0 exit 1;", "3 0 0 exit 0;"]);
      const lines = linesOf(path, "log");
      writeFileSync(join(path, "log"), `${lines.slice(0, 3).join("\n")}\n3\t:\t12`);

      const values = [":::", "0", "1", "0", "4"];
      const other = await multi(before, path, "--resume", ...log, "echo {};", ...values);
      expect(other.exitCode).toBe(255);
      expect(other.stderr).toContain("its job 1 was `exit 0;`, and now is `echo 0;`");

      const same = await multi(before, path, "-j1", "--resume", ...log, "exit {};", ...values);
      expect(same.exitCode).toBe(1);
      expect(logged(path).slice(2)).toEqual(["3 0 0 exit 0;", "4 4 0 exit 4;"]);
      const words = ["-j1", "--resume-failed", "--accept", ...log, "echo {};"];
      expect((await multi(before, path, ...words, ...values)).stdout).toBe("1\n4\n");
      expect(logged(path).slice(4)).toEqual(["2 0 0 echo 1;", "4 0 0 echo 4;"]);
    },
    LIMIT_MS,
  );

  test(
    "long outputs come whole, and none is mixed with another",
    async () => {
      await using work = await folder();
      const { path } = work;
      const block = "head -c 3000000 /dev/zero | tr '\\0' {}";
      const script = `${block}; ${block} >&2; echo; echo >&2`;
      const words = ["-j4", "--results", "kept", script, ":::", "a", "b", "c", "d"];
      const { stdout, stderr, exitCode } = await multi(before, path, ...words);
      expect(exitCode).toBe(0);
      const wanted = ["a", "b", "c", "d"].map((letter) => letter.repeat(3_000_000));
      const isSame = (text: string) =>
        text.trimEnd().split("\n").sort().join("\n") === wanted.join("\n");
      expect([isSame(stdout), isSame(stderr)]).toEqual([true, true]);
      expect(readFileSync(join(path, "kept/1/c/stderr"), "utf8") === `${wanted[2]}\n`).toBeTrue();
    },
    LIMIT_MS,
  );

  test(
    "jobs are no ranks, know their place, and end with all that they started",
    async () => {
      await using work = await folder();
      const { path } = work;
      const sleep = ownSleep();
      const ask = "env | grep -cE '^(OMPI_COMM|PMI_|PMIX_)'; echo $PARALLEL_SEQ $BSYNC_WORKER";
      const words = ["--timeout", "1", `${ask}; ${sleep} & ${sleep} # {}`, ":::", "a"];
      const { stdout, stderr, exitCode } = await multi(before, path, ...words);
      expect([stdout, exitCode]).toEqual(["0\n1 0\n", 1]);
      expect(stderr).toContain("bsync multi: 1 of 1 job failed\n  job 1: ended at its time limit");
      expect(running(sleep)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "SIGTERM leaves a log to resume from",
    async () => {
      await using work = await folder();
      const { path } = work;
      const sleep = ownSleep();
      const words = ["-j2", "--grace", "0.5", "--joblog", "log", "[ -e go ] || sleep {}", ":::"];
      const long = sleep.slice("sleep ".length);
      const values = ["0", long, "0", long];
      const env = { ...process.env, ...AS_ROOT, TMPDIR: path };
      await using child = Bun.spawn([...before, ...BSYNC, ...words, ...values], {
        cwd: path,
        env,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      await until(() => running(sleep).length === 2);
      child.kill("SIGTERM");
      // A launcher that is asked to end has an exit code of its own.
      const code = await child.exited;
      if (before.length === 0) expect(code).toBe(143);
      await until(() => running(sleep).length === 0);
      expect(logged(path)).toHaveLength(2);
      writeFileSync(join(path, "go"), "");
      const { exitCode } = await multi(before, path, "--resume", ...words, ...values);
      expect([exitCode, logged(path).length]).toEqual([0, 4]);
    },
    LIMIT_MS,
  );

  test(
    "help, and a mistake, are told once",
    async () => {
      await using work = await folder();
      const help = await multi(before, work.path, "--help");
      expect([help.exitCode, help.stdout.split("Usage:").length]).toEqual([0, 2]);
      const wrong = await multi(before, work.path, "--jobs", "x", "echo", ":::", "a");
      expect([wrong.exitCode, wrong.stdout]).toEqual([255, ""]);
      expect(wrong.stderr.split("bsync multi: Cannot run: option").length).toBe(2);
    },
    LIMIT_MS,
  );
});

describe.each([
  ["local", []],
  ["isolated", ranks("mpich", 3)],
])("%s", (way, before) => {
  test(
    "a worker that is lost costs the job that it ran",
    async () => {
      await using work = await folder();
      const { path } = work;
      const flags = way === "isolated" ? ["--isolate"] : [];
      const script = "[ {} = lost ] && kill -9 $PPID; sleep 0.1; echo {}";
      const words = [...flags, "-j2", "-k", "--joblog", "log", script, ":::", "a", "lost", "b"];
      const { stdout, stderr, exitCode } = await multi(before, path, ...words);
      expect([stdout, exitCode]).toEqual(["a\nb\n", 1]);
      expect(stderr).toMatch(/ {2}job 2: worker \d .*was lost meanwhile \(SIGKILL\): \[ lost/);
      expect(logged(path).toSorted()[1]).toStartWith("2 -1 9 ");
    },
    LIMIT_MS,
  );

  test(
    "also where it had been sent others along with it",
    async () => {
      await using work = await folder();
      const flags = way === "isolated" ? ["--isolate"] : [];
      const long = "[ $(({} % 20)) = 0 ] && head -c 60000 /dev/zero";
      const script = `[ {} = 60 ] && kill -9 $PPID && exit; ${long}; echo {}; echo {} >> ran`;
      const words = [...flags, "-j2", "-k", script, ":::", "[1-100]"];
      const { stdout, stderr, exitCode } = await multi(before, work.path, ...words);
      const others = Array.from({ length: 100 }, (_, i) => i + 1).filter((i) => i !== 60);
      expect([stdout.replaceAll("\0", ""), exitCode]).toEqual([`${others.join("\n")}\n`, 1]);
      // None has run twice.
      expect(
        linesOf(work.path, "ran")
          .map(Number)
          .toSorted((a, b) => a - b),
      ).toEqual(others);
      expect(stderr).toStartWith("bsync multi: 1 of 100 jobs failed\n  job 60: worker ");
    },
    LIMIT_MS,
  );

  test(
    "a worker that is lost costs the job whose output it still had",
    async () => {
      await using work = await folder();
      const { path } = work;
      const flags = way === "isolated" ? ["--isolate"] : [];
      // The first one's end comes last: until then the second one's output waits on its worker.
      const first = "until [ -e go ]; do sleep 0.01; done; sleep 0.5";
      const long = "head -c 300000 /dev/zero";
      const script = `case {} in a) ${first};; b) ${long};; c) touch go; kill -9 $PPID;; esac; echo {}`;
      const kept = ["-k", "-j2", "--joblog", "log", "--archive", "all.db", "--results", "kept"];
      const words = [...flags, ...kept, script, ":::", "a", "b", "c", "d"];
      const { stdout, stderr, exitCode } = await multi(before, path, ...words);
      expect([stdout, exitCode]).toEqual(["a\nd\n", 2]);
      expect(stderr).toContain("job 2: its output was lost with the worker that had it: case b in");
      const codes = logged(path).map((line) => line.split(" ").slice(0, 3).join(" "));
      expect(codes.toSorted()).toEqual(["1 0 0", "2 -1 9", "3 -1 9", "4 0 0"]);
      using database = new Database(join(path, "all.db"));
      const query = database.query("SELECT sequence FROM jobs ORDER BY sequence");
      expect(query.values()).toEqual([[1], [3], [4]]);
    },
    LIMIT_MS,
  );

  test(
    "and nothing else where lines are printed at once",
    async () => {
      await using work = await folder();
      const { path } = work;
      const flags = way === "isolated" ? ["--isolate"] : [];
      const script = "echo s{}; sleep 0.2; [ {} = 2 ] && kill -9 $PPID; sleep 0.1; echo e{}";
      const words = [...flags, "-j2", "--line-buffer", "--joblog", "log", script, ":::", "[1-4]"];
      const { stdout, exitCode } = await multi(before, path, ...words);
      const ends = stdout.split("\n").filter((line) => line.startsWith("e"));
      expect([ends.toSorted(), exitCode]).toEqual([["e1", "e3", "e4"], 1]);
      expect(logged(path)).toHaveLength(4);
    },
    LIMIT_MS,
  );
});

describe("local", () => {
  test(
    "SIGKILL leaves no job, and no file",
    async () => {
      await using work = await folder();
      const { path } = work;
      const sleep = ownSleep();
      const child = Bun.spawn([...BSYNC, "-j2", `echo a; ${sleep}; echo {}`, ":::", "1", "2"], {
        env: { ...process.env, TMPDIR: path },
        stdio: ["ignore", "ignore", "ignore"],
      });
      await until(() => running(sleep).length === 2);
      child.kill("SIGKILL");
      await until(() => running(sleep).length === 0);
      expect(readdirSync(path)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "Ctrl-C ends all at once",
    async () => {
      await using work = await folder();
      const sleep = ownSleep();
      const child = Bun.spawn([...BSYNC, "-j2", `trap '' TERM; ${sleep} # {}`, ":::", "1", "2"], {
        cwd: work.path,
        stdio: ["ignore", "ignore", "ignore"],
      });
      await until(() => running(sleep).length === 2);
      child.kill("SIGINT");
      expect(await child.exited).toBe(130);
      await until(() => running(sleep).length === 0);
    },
    LIMIT_MS,
  );

  test(
    "a job that takes long holds up none of those behind it",
    async () => {
      await using work = await folder();
      const { path } = work;
      const values = [...Array<string>(40).fill("true"), "until [ -e go ]; do sleep 0.01; done"];
      const last = [...Array<string>(20).fill("true"), "touch go"];
      const words = ["-j2", "--joblog", "log", ":::", ...values, ...last];
      const { exitCode } = await multi([], path, ...words);
      expect([exitCode, logged(path).length]).toEqual([0, 62]);
    },
    LIMIT_MS,
  );

  test(
    "an endless input is read no further than jobs run",
    async () => {
      await using work = await folder();
      const yes = `yes | "$@" -j1 --halt now,fail=3 "echo {}; exit 4"`;
      const command = ["bash", "-c", yes, "", ...BSYNC];
      const { stdout, exitCode } = await run(command, work.path);
      expect([stdout, exitCode]).toEqual(["y\ny\ny\n", 3]);
    },
    LIMIT_MS,
  );

  test(
    "a reader that has seen enough ends it",
    async () => {
      await using work = await folder();
      const head = `"$@" "seq {} 100000" ::: 1 2 3 4 | head -n 1; echo \${PIPESTATUS[0]}`;
      const { stdout, stderr } = await run(["bash", "-c", head, "", ...BSYNC, "-k"], work.path);
      expect([stdout, stderr]).toEqual(["1\n141\n", ""]);
    },
    LIMIT_MS,
  );

  test(
    "an archive keeps all output in one file, and is not written over",
    async () => {
      await using work = await folder();
      const { path } = work;
      const words = ["--archive", "all.db", "echo {}; echo e{} >&2; exit {}", ":::", "0", "3"];
      expect((await multi([], path, ...words)).exitCode).toBe(1);
      expect(readdirSync(path)).toEqual(["all.db"]);
      using database = new Database(join(path, "all.db"));
      const query = "SELECT sequence, exit, stdout, stderr FROM texts JOIN jobs USING (sequence)";
      expect(database.query(query).values()).toEqual([
        [1, 0, "0\n", "e0\n"],
        [2, 3, "3\n", "e3\n"],
      ]);
      const again = await multi([], path, ...words);
      expect([again.exitCode, again.stdout]).toEqual([255, ""]);
      expect(again.stderr).toContain("it is there already");
    },
    LIMIT_MS,
  );

  test(
    "--files keeps outputs, and prints their names",
    async () => {
      await using work = await folder();
      const { path } = work;
      const { stdout } = await multi([], path, "-k", "--files", "echo {}", ":::", "a", "b");
      const names = stdout.trimEnd().split("\n");
      expect(names.map((name) => readFileSync(name, "utf8"))).toEqual(["a\n", "b\n"]);
    },
    LIMIT_MS,
  );

  test(
    "many outputs that wait for their turn keep their order",
    async () => {
      await using work = await folder();
      const first = "until [ -e go ]; do sleep 0.01; done; seq 1000";
      const script = `[ {} != 1 ] || { ${first}; }; [ {} != 60 ] || touch go; seq {} 10000`;
      const words = ["-k", "-j2", script, ":::", "[1-60]"];
      const { stdout } = await multi([], work.path, ...words);
      const heads = stdout.split("\n10000\n").map((text) => Number(text.split("\n", 1)[0]));
      expect(heads.slice(1, 60)).toEqual(Array.from({ length: 59 }, (_, i) => i + 2));
    },
    LIMIT_MS,
  );

  test(
    "a command line that is too long fails its job, and no other",
    async () => {
      await using work = await folder();
      writeFileSync(join(work.path, "in"), `${"x".repeat(3_000_000)}\nb\n`);
      const { stdout, stderr, exitCode } = await multi([], work.path, "-a", "in", "echo", "{.}");
      expect([stdout, exitCode]).toEqual(["b\n", 1]);
      expect(stderr).toContain("job 1: ");
      expect(stderr).toContain("E2BIG");
    },
    LIMIT_MS,
  );

  test(
    "progress is told in lines where no terminal is",
    async () => {
      await using work = await folder();
      const { stdout, stderr } = await multi([], work.path, "--bar", "-k", "echo", ":::", "a", "b");
      expect(stdout).toBe("a\nb\n");
      expect(stderr).toMatch(/^bsync multi: \[#+\] 2 of 2, 0 running, .*\n$/);
    },
    LIMIT_MS,
  );
});
