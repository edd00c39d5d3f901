/** Pools of ranks and of processes beside rank 0, under each MPI. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { mpirun } from "./mpi/launch.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const SCRIPT = join(import.meta.dir, "contract", "fixtures", "mixed.ts");

describe.each(mpiFamilies())("%s", (family) => {
  test("a list with nulls: those workers are processes, and nothing else is different", async () => {
    const { exitCode, stdout, stderr } = await mpirun(family, 3, SCRIPT, [], { NO_COLOR: "1" });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      ranks: [1, null, 2, null],
      pids: 4,
      inOrder: true,
      sync: "sync",
      interrupted: "TimeoutError",
    });
  });
});
