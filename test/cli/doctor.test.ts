/** `bsync doctor` where all is well, and in the set-ups that it has to name. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run as tried } from "../../src/cli/doctor/run.ts";
import { until } from "../contract/assert.ts";
import { AS_ROOT, run } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import {
  bsync,
  doctor,
  type Examined,
  folder,
  HIDES,
  MAIN,
  ranks,
  script,
  textOf,
  without,
} from "./setup.ts";

setDefaultTimeout(60_000);

const OTHER = { openmpi: "mpich", mpich: "openmpi" } as const;
const NAMES = { openmpi: "Open MPI", mpich: "MPICH" } as const;

describe("alone", () => {
  test("it tries every MPI that is here, and says that all is well", async () => {
    const { report, errors, exitCode } = await doctor(AS_ROOT);
    expect({ errors, exitCode, ok: report.ok }).toEqual({ errors: [], exitCode: 0, ok: true });
    expect(report.bun).toMatchObject({ version: Bun.version, path: process.execPath, ok: true });
    for (const family of mpiFamilies()) {
      const mpi = report.mpis.find((one) => one.family === family && one.mpirun !== null)!;
      expect(mpi.mpicc).toMatchObject({ family, header: true, version: mpi.version, error: null });
      expect(mpi.trial).toMatchObject({ failure: null, job: { size: 2, error: null, silent: [] } });
      const { ranks: those, shim } = mpi.trial!.job!;
      expect(those[1]!.pingUs).toBeGreaterThan(0);
      expect(report.cache.shims).toContainEqual(
        expect.objectContaining({ path: shim!, family, current: true, state: "loads" }),
      );
    }
  });

  test("an mpirun that fails: its own words", async () => {
    await using work = await folder();
    const words = `[ "$1" = --version ] && exec echo 'mpirun (Open MPI) 9.8.7'\necho 'no slots' >&2; exit 9`;
    await script(join(work.path, "mpirun"), words);
    // What a shell would start comes before what a variable names.
    const home = join(work.path, "home");
    await script(join(home, "bin/mpirun"), "exec echo 'mpirun (Open MPI) 1.2.3'");
    const PATH = `${work.path}:${process.env.PATH}`;
    const found = await doctor({ ...AS_ROOT, MPI_HOME: home, PATH });
    expect(verdict(found)).toEqual([1, "LAUNCHER_FAILED", "LAUNCHER_FAILED"]);
    expect(found.report.mpis[0]).toMatchObject({ family: "openmpi", version: "9.8.7" });
    expect(textOf(found, "LAUNCHER_FAILED")).toContain("it ended with exit code 9:\nno slots");
    expect(textOf(found, "VERSIONS_DIFFER")).toContain(
      `${work.path}/mpirun is of Open MPI 9.8.7, but`,
    );
  });

  test("a broken mpicc in PATH is left alone, and told", async () => {
    await using work = await folder();
    const path = await script(join(work.path, "mpicc"), "echo 'no license' >&2; exit 3");
    const found = await doctor({ ...AS_ROOT, PATH: `${work.path}:${process.env.PATH}` });
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "COMPILER_IGNORED")).toContain(
      `${path} is left alone: \`${path} -show\` failed with exit code 3: no license`,
    );
  });

  for (const family of mpiFamilies().slice(-1)) {
    test("a binding that crashes whoever loads it costs doctor nothing", async () => {
      await using work = await folder();
      const env = { ...AS_ROOT, BSYNC_CACHE_DIR: join(work.path, "cache") };
      const shim = (await doctor(env, ranks(family, 1))).report.job!.shim!;
      const crash = "__attribute__((constructor)) void f(void) { abort(); }";
      await replace(shim, `#include <stdlib.h>\n${crash}`);
      const found = await doctor(env);
      expect(verdict(found)).toEqual([1, "LAUNCHER_FAILED"]);
      const words = `${shim} is no good (a process that loaded it ended with `;
      expect(textOf(found, "SHIM_BROKEN")).toContain(words);
    });
  }
});

describe.each(mpiFamilies())("under %s", (family) => {
  const test = testsUnder(family);
  test("rank 0 reports the job, and nobody else says anything", async () => {
    const { exitCode, stdout, stderr } = await bsync(["doctor", "--json"], {}, ranks(family, 3));
    const { job, ok } = JSON.parse(stdout);
    expect({ exitCode, stderr, ok }).toEqual({ exitCode: 0, stderr: "", ok: true });
    expect(job).toMatchObject({ launcher: { family }, size: 3, error: null, matches: true });
    expect(job.silent).toEqual([]);
    expect(job.ranks.map(({ rank }: { rank: number }) => rank)).toEqual([0, 1, 2]);
    expect(job.ranks[0].pingUs).toBeNull();
    expect(job.ranks[2].pingUs).toBeGreaterThan(0);
    expect(job.hosts).toMatchObject([{ ranks: 3, host: job.ranks[0].host }]);
    expect(job.transport).toMatchObject({
      name: expect.stringMatching(family === "openmpi" ? /^ob1 over vader/ : /^ch\d:/),
      memory: true,
    });
  });

  test("its text has colours where they are asked for, and there alone", async () => {
    const { stdout, exitCode } = await bsync(["doctor"], {}, ranks(family, 1));
    expect(exitCode).toBe(0);
    expect(stdout).toBe(Bun.stripANSI(stdout));
    expect(stdout).toMatch(/^! ONE_RANK: .+ has started one rank/m);
    expect(stdout.trimEnd()).toEndWith("Nothing keeps programs from running, but see above");
    const coloured = await bsync(["doctor"], { FORCE_COLOR: "1" }, ranks(family, 1));
    expect(coloured.stdout).toContain("\x1b[33m!\x1b[0m ONE_RANK");
  });

  test("BSYNC_USE_MPI=0", async () => {
    const found = await doctor({ BSYNC_USE_MPI: "0" }, ranks(family, 2));
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "MPI_SWITCHED_OFF")).toContain("2 copies of a program run");
  });

  test("one rank is no job", async () => {
    const found = await doctor({}, ranks(family, 1));
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "ONE_RANK")).toContain("for n workers start n + 1 ranks");
  });

  test("the other family's mpicc", async () => {
    const found = await doctor({ BSYNC_MPICC: `mpicc.${OTHER[family]}` }, ranks(family, 2));
    expect(verdict(found)).toEqual([1, "LAUNCHER_MISMATCH"]);
    expect(found.report.job!.matches).toBe(false);
    const text = textOf(found, "LAUNCHER_MISMATCH");
    expect(text).toContain(`${NAMES[family]}'s mpirun started this program`);
    expect(text).toContain(`belongs to ${NAMES[OTHER[family]]}`);
  });

  test("a damaged binding, and one with an old interface, are built again", async () => {
    await using work = await folder();
    const env = { BSYNC_CACHE_DIR: join(work.path, "cache") };
    const first = await doctor(env, ranks(family, 2));
    const { path } = first.report.cache.shims.find(({ current }) => current)!;
    await Bun.write(path, "damaged");
    const found = await doctor(env, ranks(family, 2));
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "SHIM_REPAIRED")).toContain(
      `${path} was no good (it is not as it was written)`,
    );
    await replace(path, "int bsync_mpi_abi(void) { return 99; }");
    const again = await doctor(env, ranks(family, 2));
    expect(textOf(again, "SHIM_REPAIRED")).toContain(`${path} was no good`);
    expect(again.report.cache.shims).toContainEqual(
      expect.objectContaining({ path, state: "repaired" }),
    );
    const last = await doctor(env, ranks(family, 2));
    expect(last.warnings).not.toContain("SHIM_REPAIRED");
  });

  test("a home that cannot be written to, and then no folder at all", async () => {
    await using work = await folder();
    const home = {
      HOME: "/dev/null",
      XDG_CACHE_HOME: "/dev/null/.cache",
      BSYNC_CACHE_DIR: "",
      TMPDIR: work.path,
    };
    const found = await doctor(home, ranks(family, 2));
    expect(verdict(found)).toEqual([0]);
    const spare = join(work.path, `bsync-${process.getuid!()}`);
    expect(textOf(found, "CACHE_ELSEWHERE")).toContain(
      `/dev/null/.cache/bsync cannot be written to`,
    );
    expect(found.report.cache).toMatchObject({ writable: spare });
    expect(found.report.job!.shim).toStartWith(spare);
    await run(["chmod", "777", spare]);
    const lost = await doctor(home, ranks(family, 2));
    expect(verdict(lost)).toEqual([0]);
    expect(lost.report.cache.writable).toBeNull();
    expect(lost.warnings).toEqual(expect.arrayContaining(["CACHE_UNUSABLE"]));
  });

  test.each([
    ["starts MPI and then says nothing", "silent", "did not answer"],
    ["is stopped when it has told of itself", "stopped", "answered at first, and then no more"],
  ])("a rank that %s is named", async (_, how, words) => {
    const silent = join(import.meta.dir, "silent.ts");
    const found = await doctor(
      {},
      // The command that `doctor` adds stands last: rank 1 is the silent one, ranks 0 and 2 are its own.
      [...ranks(family, 1), process.execPath, MAIN]
        // Long enough for the others to start, on a busy machine too.
        .concat("doctor", "--json", "--timeout=3", ":", "-n", "1", process.execPath, silent, how)
        .concat(":", "-n", "1"),
    );
    expect(verdict(found)).toEqual([1, "RANKS_SILENT"]);
    expect(textOf(found, "RANKS_SILENT")).toStartWith("in this job of 3 ranks, rank 1 on ");
    expect(textOf(found, "RANKS_SILENT")).toContain(words);
    expect(found.report.job!.ranks.map(({ rank }) => rank)).toEqual([0, 2]);
  });

  test("more ranks than cores", async () => {
    // Open MPI binds to cores that it was not given.
    const unbound = family === "openmpi" ? ["--bind-to", "none"] : [];
    const found = await doctor({}, ["taskset", "-c", "0", ...ranks(family, 2, ...unbound)]);
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "OVERSUBSCRIBED")).toStartWith("2 ranks share 1 core");
  });
});

if (HIDES) {
  describe("where things are missing", () => {
    test("without any MPI it says that local pools work, and what to install", async () => {
      await using work = await folder();
      const found = await doctor(
        {},
        await without(work.path, { paths: programs("mpicc", "mpirun") }),
      );
      expect(verdict(found)).toEqual([0]);
      expect(found.warnings).toEqual(["NO_MPI"]);
      expect(textOf(found, "NO_MPI")).toContain("pools run on local processes");
      expect(textOf(found, "NO_MPI")).toContain("apt install openmpi-bin libopenmpi-dev");
      expect(found.report.mpis).toEqual([]);
    });

    test("/dev/shm without room", async () => {
      await using work = await folder();
      const before = await without(work.path, { paths: programs("mpicc", "mpirun"), shm: "64k" });
      const found = await doctor({}, before);
      expect(verdict(found)).toEqual([0]);
      const text = textOf(found, "SHARED_MEMORY");
      expect(text).toContain("/dev/shm cannot be used (0 MiB are free there)");
    });

    test("an mpicc without its mpirun", async () => {
      await using work = await folder();
      const before = await without(work.path, { paths: programs("mpirun") });
      const found = await doctor({}, before);
      expect(verdict(found)).toEqual([0]);
      expect(textOf(found, "NO_LAUNCHER")).toContain("of which there is no mpirun here");
      expect(found.report.mpis.map(({ mpirun }) => mpirun)).toEqual([null, null]);
    });

    test.each(mpiFamilies())(
      "no mpicc of %s: Bun's own compiler takes its place; without headers there is no way",
      async (family) => {
        await using work = await folder();
        const env = { BSYNC_CACHE_DIR: join(work.path, "cache") };
        const hidden = programs("mpicc");
        const without1 = await without(work.path, { paths: hidden });
        const found = await doctor(env, [...without1, ...ranks(family, 2)]);
        expect(verdict(found)).toEqual([0]);
        expect(found.report.job!.mpicc).toBeNull();
        expect(found.report.job!.shim).toStartWith("Bun's own C compiler");
        expect(textOf(found, "NO_COMPILER")).toContain("anew at each start");
        const without2 = await without(work.path, { paths: [...hidden, ...headers()] });
        const lost = await doctor(env, [...without2, ...ranks(family, 2)]);
        expect(verdict(lost)).toEqual([1, "COMPILER_MISSING"]);
        expect(textOf(lost, "COMPILER_MISSING")).toContain(
          family === "mpich" ? "libmpich-dev" : "libopenmpi-dev",
        );
      },
    );
  });
}

test.each(mpiFamilies().slice(-1))(
  "an mpicc that fails, one that writes garbage, and one without mpi.h, under %s",
  async (family) => {
    await using work = await folder();
    const cases = {
      COMPILER_BROKEN: [
        `[ "$1" = -show ] && exec echo gcc; echo 'disk on fire' >&2; exit 4`,
        "disk on fire",
      ],
      MPI_UNUSABLE: [
        `while [ "$1" != -o ]; do shift; done; echo garbage >"$2"; echo gcc`,
        "invalid ELF header",
      ],
      HEADERS_MISSING: [`[ "$1" = -show ] && exec echo gcc; exec gcc "$@"`, "mpi.h"],
    };
    for (const [code, [text = "", words = ""]] of Object.entries(cases)) {
      const path = await script(join(work.path, "mpicc"), text);
      const env = { BSYNC_MPICC: path, BSYNC_CACHE_DIR: join(work.path, code) };
      const found = await doctor(env, ranks(family, 2));
      expect(verdict(found)).toEqual([1, code]);
      expect(textOf(found, code)).toContain(words);
      expect(textOf(found, code)).toContain("or name its mpicc with BSYNC_MPICC");
    }
  },
);

test.each(mpiFamilies().filter((family) => family === "openmpi"))(
  "ranks of one host that reach each other by TCP under %s",
  async (family) => {
    const found = await doctor({}, ranks(family, 2, "--mca", "btl", "tcp,self"));
    expect(verdict(found)).toEqual([0]);
    expect(textOf(found, "NO_SHARED_MEMORY")).toContain("by ob1 over tcp in this job");
  },
);

test("a program that is tried ends, whatever it leaves behind, and whatever it does with signals", async () => {
  const env = process.env;
  const isOver = (pid: string) =>
    !Bun.spawnSync(["grep", "-qs", "sleep", `/proc/${pid.trim()}/cmdline`]).success;
  const left = await tried(["sh", "-c", "sleep 60 & echo $!"], { env, limitMs: 20_000 });
  expect(left).toMatchObject({ exitCode: 0, end: "exit code 0" });
  await until("what it has left behind to end", () => isOver(left.stdout));
  const deaf = "trap '' TERM; sleep 60 & echo $!; while :; do wait; done";
  const { stdout, end } = await tried(["sh", "-c", deaf], { env, limitMs: 100 });
  expect(end).toBe("SIGKILL, after 0.1 s without an end");
  await until("what it had started to end", () => isOver(stdout));
});

test("of a program that says without an end the beginning is kept", async () => {
  const { stdout, end } = await tried(["yes"], { env: process.env, limitMs: 300 });
  expect(stdout.length).toBeLessThan(2 ** 22);
  expect(end).toStartWith("SIGTERM, after 0.3 s");
});

test("a wrapper that says without an end, or leaves something behind, is done with", async () => {
  await using work = await folder();
  const wrapper = join(work.path, "mpicc");
  const pid = join(work.path, "pid");
  await Bun.write(wrapper, `#!/bin/sh\nsleep 60 & echo $! >${pid}\nexec yes\n`);
  await chmod(wrapper, 0o755);
  const found = await doctor({ PATH: `${work.path}:${process.env.PATH}` });
  expect(found.report.broken.map(({ path }) => path)).toContain(wrapper);
  const number = await Bun.file(pid).text();
  await until("what it has left behind to end", () => {
    return !Bun.spawnSync(["grep", "-qs", "sleep", `/proc/${number.trim()}/cmdline`]).success;
  });
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} to doctor ends what it has started`, async () => {
    await using work = await folder();
    const pid = join(work.path, "pid");
    const launcher = join(work.path, "mpirun");
    // It ignores what can be ignored.
    const look = `#!/bin/sh\ncase "$1" in --version) echo "mpirun (Open MPI) 4.1.4"; exit;; esac\n`;
    await Bun.write(
      launcher,
      `${look}trap '' INT TERM\nsleep 60 &\necho $! >${pid}.new; mv ${pid}.new ${pid}\nwhile :; do wait; done\n`,
    );
    await chmod(launcher, 0o755);
    await using child = Bun.spawn([process.execPath, MAIN, "doctor"], {
      env: { ...process.env, ...AS_ROOT, PATH: `${work.path}:${process.env.PATH}` },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    await until("its launcher to be tried", () => Bun.file(pid).size > 0, 40_000);
    const number = (await Bun.file(pid).text()).trim();
    child.kill(signal);
    await child.exited;
    expect(child.signalCode).toBe(signal);
    await until("what it has started to end", () => {
      return !Bun.spawnSync(["grep", "-qs", "sleep", `/proc/${number}/cmdline`]).success;
    });
  }, 60_000);
}

test("the list of the cache is what is there", async () => {
  await using work = await folder();
  const other = join(work.path, "bsync_mpi-mpich-0123456789abcdef01234567.so");
  await Bun.write(other, "x".repeat(5000));
  await Bun.write(join(work.path, "said-0"), "y".repeat(300));
  const { report } = await doctor({ BSYNC_CACHE_DIR: work.path });
  expect(report.cache.shims).toContainEqual(
    expect.objectContaining({ path: other, bytes: 5000, current: false }),
  );
  expect(report.cache.others.count).toBeGreaterThan(0);
  expect(report.cache.others.bytes).toBeGreaterThanOrEqual(300);
  const { stdout } = await bsync(["doctor"], { BSYNC_CACHE_DIR: work.path });
  expect(stdout).toContain(
    "1 for other versions of bsync, or MPIs that are not found here (4.9 KiB)",
  );
});

test("a reader that has seen enough is no error", async () => {
  const head = `"$@" doctor | head -n 1; echo \${PIPESTATUS[0]}`;
  const { stdout, stderr } = await run(["bash", "-c", head, "", process.execPath, MAIN], AS_ROOT);
  expect(stdout).toMatch(/^bsync \S+ on .*\n0\n$/);
  expect(stderr).toBe("");
});

test("commands and options that do not exist are refused", async () => {
  for (const words of [[], ["bank"], ["doctor", "--jsn"], ["doctor", "--timeout=soon"]]) {
    const { exitCode, stdout, stderr } = await bsync(words);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: bsync ");
  }
  const { exitCode, stdout } = await bsync(["--help"]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain("  doctor  ");
});

/** The exit code, and what is held to be an error. */
function verdict({ exitCode, errors }: Examined): unknown[] {
  return [exitCode, ...errors];
}

/** All that have this name or one that begins with it and a dot, wherever MPI is looked for. */
function programs(...names: string[]): string[] {
  const also = names.flatMap((name) =>
    name === "mpirun" ? ["mpirun", "mpiexec", "orterun"] : [name],
  );
  const folders = [...new Set((process.env.PATH ?? "").split(":"))].filter(isThere);
  return folders.flatMap((place) =>
    readdirSync(place)
      .filter((file) => also.includes(file.split(".")[0]!))
      .map((file) => join(place, file)),
  );
}

/** The folders of every mpi.h. */
function headers(): string[] {
  return mpiFamilies().flatMap((family) => {
    const { stdout } = Bun.spawnSync([`mpicc.${family}`, "-show"]);
    const folders = stdout.toString().match(/(?<=-I)\S+/g) ?? [];
    return folders.filter((path) => isThere(join(path, "mpi.h")));
  });
}

function isThere(path: string): boolean {
  return Bun.spawnSync(["test", "-e", path]).success;
}

/** Puts a library of this text, sealed, in the place of a binding. */
async function replace(shim: string, source: string): Promise<void> {
  await using work = await folder();
  const [text, library] = [join(work.path, "a.c"), join(work.path, "a.so")];
  await Bun.write(text, source);
  await mkdir(dirname(shim), { recursive: true });
  expect((await run(["gcc", "-shared", "-fPIC", "-o", library, text])).exitCode).toBe(0);
  const load = join(import.meta.dir, "../mpi/load.ts");
  expect((await run([process.execPath, load, "publish", library, shim])).exitCode).toBe(0);
}
