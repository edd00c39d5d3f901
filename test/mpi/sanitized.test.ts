/** The shim under AddressSanitizer and UBSan, on two ranks of either MPI. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
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

const ENVIRONMENT = {
  // What the MPI libraries themselves never free is theirs.
  ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0:exitcode=99",
  UBSAN_OPTIONS: "print_stacktrace=1",
  ...AS_ROOT,
};

for (const family of mpiFamilies()) {
  test.each([
    ["the shim leaves alone what is not its own", "sanitized.c"],
    ["messages that are too long are written as far as they fit", "truncated.c"],
  ])(
    `${family}: %s`,
    async (_, source) => {
      const { mpicc, mpirun } = findMpi(family)!;
      const folder = mkdtempSync(join(tmpdir(), "sanitized-"));
      try {
        const program = join(folder, "sanitized");
        const sources = [...new Bun.Glob("*.c").scanSync({ cwd: C, absolute: true })];
        sources.push(join(import.meta.dir, source));
        const compiled = await run([mpicc, ...FLAGS, `-I${C}`, ...sources, "-ldl", "-o", program]);
        expect(compiled).toMatchObject({ exitCode: 0, stderr: "" });
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
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    120_000,
  );
}
