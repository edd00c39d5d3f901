/** Local workers where `/dev/shm` is small, read-only, missing or cannot do what Linux's own does. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HIDES } from "./cli/setup.ts";
import { AS_ROOT, run } from "./mpi/launch.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/sharing.ts");
const work = mkdtempSync(join(tmpdir(), "bsync-memory-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const temporary = join(work, "tmp");
const small = join(work, "small");
for (const folder of [temporary, small]) mkdirSync(folder);

const TOO_SMALL = "mount -t tmpfs -o size=2500k tmpfs /dev/shm";
const READ_ONLY = "mount -t tmpfs -o ro tmpfs /dev/shm";
/** All of /dev is another one, with what a program needs of it. */
const MISSING = `
mkdir "${work}/dev"
mount -t tmpfs tmpfs "${work}/dev"
for name in null zero urandom random; do touch "${work}/dev/$name"; mount --bind /dev/$name "${work}/dev/$name"; done
ln -s /proc/self/fd "${work}/dev/fd"
mount --rbind "${work}/dev" /dev`;
const NO_ROOM = `mount -t tmpfs -o size=1500k tmpfs "${small}"`;

/** Runs the program after that was done to the folders; in namespaces of its own. */
async function after(
  mounts: readonly string[],
  folder: string,
  command = [process.execPath, PROGRAM, "4"],
) {
  const script = join(work, `script-${crypto.randomUUID()}`);
  writeFileSync(script, ["set -e", "unset NODE_COMPILE_CACHE", ...mounts, 'exec "$@"'].join("\n"));
  const namespaces = ["unshare", "--map-root-user", "--mount", "bash", script];
  return await run([...namespaces, ...command], { ...AS_ROOT, TMPDIR: folder });
}

const WELL = `${JSON.stringify(["1,2,3,4,5,6,7,8", 23, "11,11,11,11", 3_000_000])}\n`;

if (!HIDES) console.error("\n*** no namespaces here: memory elsewhere is NOT tested ***\n");

const describeHidden = HIDES ? describe : () => {};

describeHidden("what local workers share", () => {
  test.each([
    ["/dev/shm has room for two workers of four", [TOO_SMALL], temporary],
    ["/dev/shm is read-only", [READ_ONLY], temporary],
    ["/dev/shm is missing", [MISSING], temporary],
    ["the temporary folder is full", [NO_ROOM], small],
    ["there is no temporary folder", [], join(work, "nowhere")],
  ])("%s: all that a pool can is there, and nothing is left", async (_, mounts, folder) => {
    expect(await after(mounts, folder)).toEqual({ exitCode: 0, stdout: WELL, stderr: "" });
    expect(readdirSync(temporary)).toEqual([]);
  });

  test.each([
    ["both are full", [READ_ONLY, NO_ROOM], small, "worker 1", "ENOSPC"],
    ["there is neither", [READ_ONLY], join(work, "nowhere"), "worker 0", "ENOENT"],
  ])("%s: open says so, and what to do", async (_, mounts, folder, worker, code) => {
    const { exitCode, stdout, stderr } = await after(mounts, folder);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toStartWith("BsyncError BSYNC_START: Cannot open a pool of 4 workers: ");
    for (const part of [worker, "/dev/shm has none (EROFS", `${folder} has none (${code}`]) {
      expect(stdout).toContain(part);
    }
    expect(stdout).toContain("a worker takes 1 MiB: make /dev/shm larger");
  });

  if (mpiFamilies().includes("openmpi")) {
    const rank = [process.execPath, PROGRAM, "2", "isolate"];
    const ranks = ["--oversubscribe", "--mca", "btl", "tcp,self", "-n", "3", ...rank];

    test("the children of ranks have it elsewhere, too", async () => {
      const { exitCode, stdout } = await after([READ_ONLY], temporary, [
        "mpirun.openmpi",
        ...ranks,
      ]);
      const well = WELL.replace("11,11,11,11", "11,11");
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: well });
    });

    test("or open says that they cannot be started, and what to do", async () => {
      const nowhere = ["-x", "TMPDIR", "env", `TMPDIR=${join(work, "nowhere")}`];
      const at = ranks.length - rank.length;
      const command = [...ranks.slice(0, at), ...nowhere, ...rank];
      const { stdout } = await after([READ_ONLY], temporary, ["mpirun.openmpi", ...command]);
      expect(stdout).toContain("could not be started (there is no memory for it to share: ");
      expect(stdout).toContain("make /dev/shm larger");
    });
  }
});
