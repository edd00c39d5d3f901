/** The shim under AddressSanitizer and UBSan, on two ranks of either MPI. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findMpi, mpiFamilies } from "../setup/mpi.ts";
import { AS_ROOT, run } from "./launch.ts";

const C = join(import.meta.dir, "..", "..", "c");

const FLAGS = [
  ..."-std=c11 -g -O1 -Wall -Wextra -Werror -pthread -fno-omit-frame-pointer".split(" "),
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=all",
];

/** ms that the compiler may take: a machine that runs many tests is slow. */
const COMPILE_MS = 50_000;

const ENVIRONMENT = {
  // What the MPI libraries themselves never free is theirs.
  ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99",
  UBSAN_OPTIONS: "print_stacktrace=1",
  ...AS_ROOT,
};

const folder = mkdtempSync(join(tmpdir(), "sanitized-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(mpiFamilies())("%s", (family) => {
  const { mpicc, mpirun } = findMpi(family)!;
  /** For the shim's own objects, which the programs share, and for these. */
  const own = join(folder, family);

  /** In that folder: the compiler leaves objects where it runs. */
  const compile = async (...args: string[]): Promise<void> => {
    const there = ["sh", "-c", 'cd "$0" && exec "$@"', own];
    const compiled = await run([...there, mpicc, ...FLAGS, `-I${C}`, ...args], {}, COMPILE_MS);
    expect(compiled).toMatchObject({ exitCode: 0, stderr: "" });
  };
  const filesOf = (pattern: string, cwd: string): string[] => [
    ...new Bun.Glob(pattern).scanSync({ cwd, absolute: true }),
  ];

  beforeAll(async () => {
    mkdirSync(own);
    await compile("-c", ...filesOf("*.c", C));
  }, 2 * COMPILE_MS);

  test.each([
    ["the shim leaves alone what is not its own", "sanitized.c"],
    ["messages that are too long are written as far as they fit", "truncated.c"],
  ])(
    "%s",
    async (_, source) => {
      const program = join(own, `${source}.out`);
      await compile(join(import.meta.dir, source), ...filesOf("*.o", own), "-ldl", "-o", program);
      const options = family === "openmpi" ? ["--oversubscribe"] : [];
      const { exitCode, stdout, stderr } = await run(
        [mpirun, ...options, "-n", "2", program],
        ENVIRONMENT,
      );
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      // UCX warns on stdout of what nobody has received.
      expect(stdout.split("\n").filter((line) => !line.includes("UCX  WARN"))).toEqual([
        "sound",
        "",
      ]);
    },
    120_000,
  );
});
