import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AS_ROOT, mpirun, mpirunProgram, run, type TestFamily } from "./launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";

setDefaultTimeout(60_000);

const SCRIPT = join(import.meta.dir, "rank.ts");

async function ask(family: TestFamily, ranks: number, ...args: string[]): Promise<unknown> {
  const { exitCode, stdout, stderr } = await mpirun(family, ranks, SCRIPT, args);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout);
}

describe.each(mpiFamilies())("%s", (family) => {
  const test = testsUnder(family);
  test("every rank learns its place", async () => {
    expect(await ask(family, 3, "start")).toEqual({
      rank: 0,
      size: 3,
      ranksOnHost: 3,
      tagLimit: expect.any(Number),
      library: expect.stringMatching(family === "openmpi" ? /^Open MPI v/ : /^MPICH Version: /),
    });
  });

  test("ranks that `bun run` starts by a script of package.json, some later than others", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bsync-script-"));
    try {
      // The others have looked for the late one some times by then.
      const late = `[ "$PMI_RANK$OMPI_COMM_WORLD_RANK" != 1 ] || sleep 1.5`;
      const scripts = { rank: `sh -c '${late}'; ${process.execPath} run ${SCRIPT} start` };
      await Bun.write(join(folder, "package.json"), JSON.stringify({ scripts }));
      const command = [process.execPath, "run", "--silent", "--cwd", folder, "rank"];
      const { stdout, stderr } = await mpirunProgram(family, 3, command);
      expect({ stdout, stderr }).toMatchObject({ stdout: expect.stringContaining('"size":3') });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("messages of every size come back as they were", async () => {
    const { sound, pending } = (await ask(family, 2, "pingPong")) as Record<string, unknown>;
    expect(sound).toEqual(Array(14).fill(true));
    expect(pending).toBe(0);
  });

  test("20 MB both ways at once, twice, do not wait for each other", async () => {
    expect(await ask(family, 2, "bothWays")).toEqual({ sound: [true, true] });
  });

  test("a thousand sends at once arrive whole and in order", async () => {
    expect(await ask(family, 2, "flood")).toEqual({ sound: 1000, pending: 0 });
  });

  test("small arrays may move while they are received into", async () => {
    expect(await ask(family, 2, "moving")).toEqual({ sound: 200 });
  });

  test("looking and waiting leave a message where it is", async () => {
    const answers = await ask(family, 2, "looks");
    expect(answers).toEqual([false, false, false, true, [1, 7, 11], true, 2, 1]);
  });

  test("mistakes are MpiErrors with MPI's own text", async () => {
    const found = (await ask(family, 2, "mistakes")) as {
      name: string;
      code: number;
      text: string;
    }[];
    const tooLong = found.splice(7, 2);
    expect(found.map(({ name }) => name)).toEqual(Array(8).fill("MpiError"));
    expect(found.every(({ code }) => code > 0)).toBe(true);
    expect(tooLong.map(({ name }) => name)).toEqual(["RangeError", "RangeError"]);
    expect(tooLong[0]?.text).toStartWith("Cannot move 2001 bytes: the buffer has 2000");
    expect(found[0]?.text).toMatch(/^Cannot send to rank 99 with tag 5: .*rank/is);
    expect(found[1]?.text).toMatch(/^Cannot receive from rank 99 with tag 5: .*rank/is);
    expect(found[2]?.text).toContain("negative length");
    expect(found[5]?.text).toBe("Cannot finish request 12345: no such request");
    expect(found[7]?.text).toMatch(/truncate/i);
  });

  test("after finalize, which may be called twice, every call is an MpiError", async () => {
    const found = (await ask(family, 2, "afterEnd")) as Record<string, unknown>;
    expect(found["same"]).toBe(true);
    expect(found["finalized"]).toBe(true);
    const failures = found["failures"] as { name: string; text: string }[];
    expect(failures).toHaveLength(6);
    for (const { name, text } of failures) {
      expect(name).toBe("MpiError");
      expect(text).toEndWith("MPI has ended in this process");
    }
  });

  test("a signal ends a nap", async () => {
    expect(await ask(family, 2, "interrupted")).toEqual({ found: false, early: true });
  });

  test("a child of a rank is no rank, and may start a job of its own", async () => {
    const found = (await ask(family, 2, "nested", `mpirun.${family}`)) as Record<string, unknown>[];
    expect(found[0]).toMatchObject({ exitCode: 3, name: "MpiError" });
    expect(found[1]).toMatchObject({ exitCode: 0, rank: 0, size: 2 });
  });

  test("abort ends the job with its exit code", async () => {
    const { exitCode } = await mpirun(family, 3, SCRIPT, ["abort"]);
    expect(exitCode).toBe(7);
  });

  test("a rank that never starts MPI: the others end the job and say so", async () => {
    const { exitCode, stderr } = await mpirun(family, 2, SCRIPT, ["never", "700"]);
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(
      /bsync: rank 0 \(host [^)]+\): MPI_Init did not finish within 700 ms: rank 1 \(pid \d+\) never called/,
    );
  });

  test("the other family's mpicc is refused, and the message says what to do", async () => {
    const other = family === "openmpi" ? "mpich" : "openmpi";
    const env = { BSYNC_MPICC: `mpicc.${other}` };
    const { exitCode, stdout } = await mpirun(family, 2, SCRIPT, ["start"], env);
    expect(exitCode).toBe(3);
    const line = JSON.parse(stdout.split("\n")[0]!) as { name: string; message: string };
    expect(line.name).toBe("MpiError");
    const [mine, theirs] = family === "openmpi" ? ["Open MPI", "MPICH"] : ["MPICH", "Open MPI"];
    expect(line.message).toStartWith(`Cannot start MPI: ${mine}'s mpirun started this program`);
    expect(line.message).toContain(`belongs to ${theirs}`);
    expect(line.message).toContain("with BSYNC_MPICC");
  });
});

test("a rank without the launcher's connection, and nobody to fetch it from", async () => {
  const close = ["sh", "-c", `eval "exec $PMI_FD>&-"; exec "$0" "$@"`];
  const command = [...close, process.execPath, "run", SCRIPT, "start"];
  const { exitCode, stdout } = await mpirunProgram("mpich", 1, command);
  expect(exitCode).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({
    name: "MpiError",
    message: expect.stringMatching(
      /^Cannot start MPI on rank 0: what stands .* option -pmi-port \(rank 0, host \S+\)$/,
    ),
  });
});

test("a program that no launcher started does not load MPI", async () => {
  const { exitCode, stdout } = await run([process.execPath, "run", SCRIPT, "start"]);
  expect(exitCode).toBe(3);
  expect(JSON.parse(stdout).message).toStartWith("Cannot start MPI: no launcher started this");
});

test("a library that knows nothing of the launcher's job is refused", async () => {
  // What a launcher set for rank 1 of 3, without the launcher: a job of size 1.
  const env = {
    OMPI_COMM_WORLD_RANK: "1",
    OMPI_COMM_WORLD_SIZE: "3",
    ...AS_ROOT,
  };
  const { exitCode, stdout } = await run([process.execPath, "run", SCRIPT, "start"], env);
  expect(exitCode).toBe(3);
  const { message } = JSON.parse(stdout) as { message: string };
  expect(message).toContain("started this program as rank 1 of 3, but Open MPI");
  expect(message).toContain("takes it for rank 0 of 1");
});
