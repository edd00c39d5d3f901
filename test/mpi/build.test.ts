import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exclusively } from "../../src/mpi/shim/lock.ts";
import { mpirunCommand, run, type Outcome } from "./launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";

setDefaultTimeout(60_000);

const LOAD = join(import.meta.dir, "load.ts");
const base = mkdtempSync(join(tmpdir(), "bsync-test-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let count = 0;
function emptyFolder(): string {
  const folder = join(base, String(count++));
  mkdirSync(folder);
  return folder;
}

/** Loads the shim in a process of its own, under an environment that nothing else is told. */
function load(family: string, env: Record<string, string>): Promise<Outcome> {
  const fresh = { BSYNC_MPICC: "", BSYNC_DEBUG: "1", BSYNC_CACHE_DIR: "" };
  return run([process.execPath, "run", LOAD, "load", family], { ...fresh, ...env });
}

interface Told {
  readonly family?: string;
  readonly origin?: string;
  /** The shim's answer to a call before init: -BSYNC_E_FRESH. */
  readonly fresh?: number;
  readonly error?: string;
}

const FRESH = -0x7fffff01;

function told(outcome: Outcome): Told {
  if (outcome.exitCode !== 0) throw new Error(`${outcome.exitCode}: ${outcome.stderr}`);
  return JSON.parse(outcome.stdout) as Told;
}

function shims(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith(".so"));
}

/** An mpicc that writes down each call of it but those with -show. */
function countingCompiler(folder: string, family: string): { path: string; calls: () => number } {
  const path = join(folder, "mpicc");
  const log = join(folder, "calls");
  writeFileSync(log, "");
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$1" = -show ] || echo call >>${log}\nexec mpicc.${family} "$@"\n`,
  );
  chmodSync(path, 0o755);
  return { path, calls: () => readFileSync(log, "utf8").split("\n").length - 1 };
}

describe.each(mpiFamilies())("%s", (family) => {
  const test = testsUnder(family);
  test("sixteen processes at once on an empty cache: one compiles, all load", async () => {
    const cache = join(emptyFolder(), "not", "there");
    const { path, calls } = countingCompiler(emptyFolder(), family);
    const env = { BSYNC_CACHE_DIR: cache, BSYNC_MPICC: path };
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => load(family, env)));
    const [shim] = shims(cache);
    for (const outcome of outcomes) {
      expect(told(outcome)).toEqual({ family, origin: join(cache, shim!), fresh: FRESH });
    }
    expect(calls()).toBe(1);
    expect(shims(cache)).toHaveLength(1);
    expect(readdirSync(cache).filter((name) => name.startsWith("build-"))).toEqual([]);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
  });

  test("a cache that was damaged is made anew", async () => {
    const cache = emptyFolder();
    const other = emptyFolder();
    const { path, calls } = countingCompiler(emptyFolder(), family);
    const env = { BSYNC_CACHE_DIR: cache, BSYNC_MPICC: path };
    told(await load(family, env));
    const shim = join(cache, shims(cache)[0]!);
    const { size } = statSync(shim);
    const damage: (() => Promise<unknown> | void)[] = [
      () => truncateSync(shim, size >> 1),
      () => truncateSync(shim, 0),
      () => writeFileSync(shim, "more", { flag: "a" }),
      // Whole, by its seal, but no library.
      () => (writeFileSync(join(other, "a"), "text"), replace(join(other, "a"), shim)),
      // Whole, and a library, but of another version of the interface.
      async () => {
        const source = join(other, "old.c");
        const names = readFileSync(join(import.meta.dir, "../../c/bsync_mpi.h"), "utf8");
        const functions = new Set(names.match(/^int bsync_mpi_\w+/gm));
        writeFileSync(
          source,
          [...functions].map((name) => `${name}(void) { return 99; }`).join("\n"),
        );
        const built = await run(["gcc", "-shared", "-fPIC", "-o", join(other, "b"), source]);
        expect(built.exitCode).toBe(0);
        await replace(join(other, "b"), shim);
      },
    ];
    let made = 1;
    for (const doDamage of damage) {
      await doDamage();
      expect(told(await load(family, env))).toEqual({ family, origin: shim, fresh: FRESH });
      expect(calls()).toBe(++made);
      expect(told(await load(family, env)).family).toBe(family);
      expect(calls()).toBe(made);
    }
  });

  test("a cache that cannot be written: a folder of the user's own beside it", async () => {
    const temporary = emptyFolder();
    const env = { BSYNC_CACHE_DIR: "/dev/null/cache", TMPDIR: temporary };
    const { origin } = told(await load(family, env));
    const folder = join(temporary, `bsync-${process.getuid!()}`);
    expect(origin).toStartWith(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const again = await load(family, env);
    expect(told(again).origin).toBe(origin!);
    expect(again.stderr).toContain(`: found: ${origin}`);
  });

  test("that folder is not used when others can write to it", async () => {
    const temporary = emptyFolder();
    const env = { BSYNC_CACHE_DIR: "/dev/null/cache", TMPDIR: temporary };
    const { origin } = told(await load(family, env));
    const folder = join(temporary, `bsync-${process.getuid!()}`);
    chmodSync(folder, 0o777);
    const outcome = await load(family, env);
    expect(outcome.stderr).toContain(`no folder to build it in: /dev/null/cache and ${folder}`);
    expect(told(outcome).origin).toStartWith("Bun's own C compiler");
    expect(existsSync(origin!)).toBe(true);
  });

  test("no C compiler: Bun's own takes its place, and BSYNC_DEBUG says so", async () => {
    // All that the wrappers need, and no gcc.
    const tools = emptyFolder();
    for (const tool of ["sh", "bash", "sed", "basename", "dirname", "expr", "cat"]) {
      symlinkSync(Bun.which(tool)!, join(tools, tool));
    }
    const mpicc = Bun.which(`mpicc.${family}`)!;
    const [cache, temporary] = [emptyFolder(), emptyFolder()];
    const env = { BSYNC_CACHE_DIR: cache, BSYNC_MPICC: mpicc, PATH: tools, TMPDIR: temporary };
    const outcome = await load(family, env);
    const { origin, fresh, family: found } = told(outcome);
    expect({ found, fresh }).toEqual({ found: family, fresh: FRESH });
    expect(origin).toStartWith("Bun's own C compiler");
    expect(outcome.stderr).toContain(": using Bun's own C compiler: ");
  });

  test("MPI runs by Bun's own compiler as well", async () => {
    const tools = emptyFolder();
    for (const tool of ["sh", "bash", "sed"]) symlinkSync(Bun.which(tool)!, join(tools, tool));
    const [launcher, ...rest] = mpirunCommand(family, 2, join(import.meta.dir, "rank.ts"));
    const inside = ["/usr/bin/env", `PATH=${tools}`, `BSYNC_CACHE_DIR=${emptyFolder()}`];
    inside.push(`TMPDIR=${emptyFolder()}`);
    const at = rest.indexOf(process.execPath);
    const command = [
      launcher!,
      ...rest.slice(0, at),
      ...inside,
      "BSYNC_DEBUG=1",
      ...rest.slice(at),
    ];
    const { exitCode, stdout, stderr } = await run([...command, "pingPong"]);
    expect(stderr).toContain("using Bun's own C compiler");
    expect({ exitCode, stdout: JSON.parse(stdout) }).toEqual({
      exitCode: 0,
      stdout: { sound: Array(14).fill(true), pending: 0 },
    });
  });

  test("no mpicc, but MPI's header: Bun's own compiler finds it", async () => {
    const outcome = await run([process.execPath, "run", LOAD, "tiny", family]);
    expect(told(outcome).family).toBe(family);
  });

  test("the same by thirty-two processes at once", async () => {
    const command = [process.execPath, "run", LOAD, "tiny", family];
    const outcomes = await Promise.all(Array.from({ length: 32 }, () => run(command)));
    for (const outcome of outcomes) expect(told(outcome).family).toBe(family);
  });

  test("ranks whose PATH says nothing find the mpicc beside their launcher", async () => {
    const [launcher, ...rest] = mpirunCommand(family, 1, LOAD);
    const command = ["/usr/bin/env", `BSYNC_CACHE_DIR=${emptyFolder()}`, "BSYNC_MPICC="];
    const outcome = await run([...command, launcher!, ...rest, "find", family]);
    expect(JSON.parse(outcome.stdout).path).toBe(`/usr/bin/mpicc.${family}`);
  });
});

/** Puts `path`, sealed, where the shim is, as a new file. */
async function replace(path: string, shim: string): Promise<void> {
  const outcome = await run([process.execPath, "run", LOAD, "publish", path, shim]);
  expect(outcome.exitCode).toBe(0);
}

test("BSYNC_MPICC that fails is told, and no other is taken in its place", async () => {
  for (const path of ["/bin/false", "/no/such/mpicc", "/dev"]) {
    const { error } = told(
      await load("openmpi", { BSYNC_CACHE_DIR: emptyFolder(), BSYNC_MPICC: path }),
    );
    expect(error).toStartWith(
      "MpiError: Cannot load MPI, which the launcher started this program for",
    );
    expect(error).toContain(path);
    expect(error).toContain("apt install openmpi-bin libopenmpi-dev");
  }
});

test("what a failing mpicc said is part of the error", async () => {
  const folder = emptyFolder();
  const path = join(folder, "mpicc");
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$1" = -show ] && exec echo gcc\necho 'disk on fire' >&2\nexit 4\n`,
  );
  chmodSync(path, 0o755);
  const { error } = told(await load("mpich", { BSYNC_CACHE_DIR: folder, BSYNC_MPICC: path }));
  expect(error).toContain(`${path} ended with exit code 4:\n  disk on fire`);
});

test("a lock whose holder was killed is free at once", async () => {
  const cache = emptyFolder();
  const killed = await run([process.execPath, "run", LOAD, "die", "openmpi", cache]);
  expect(killed.exitCode).not.toBe(0);
  expect(existsSync(join(cache, "lock"))).toBe(true);
  let waits = 0;
  const isDone = () => (waits++, undefined);
  expect(exclusively(cache, isDone, () => "worked")).toBe("worked");
  // Once under the lock, and never while waiting for it.
  expect(waits).toBe(1);
});

test("a lock whose holder hangs is waited for, and then done without", () => {
  const cache = emptyFolder();
  const nothing = () => undefined;
  const inner = () => exclusively(cache, nothing, () => "inner", 60);
  const begin = performance.now();
  expect(exclusively(cache, nothing, inner)).toBe("inner");
  expect(performance.now() - begin).toBeGreaterThan(50);
});

test("a lock that is waited for ends when the work is found done", () => {
  const cache = emptyFolder();
  let looks = 0;
  const isDone = () => (++looks > 3 ? "found" : undefined);
  const never = () => {
    throw new Error("it was done already");
  };
  expect(
    exclusively(
      cache,
      () => undefined,
      () => exclusively(cache, isDone, never),
    ),
  ).toBe("found");
});
