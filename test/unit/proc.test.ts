/** /proc is believed only where it is this process's own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isProcOf, statOf } from "../../src/os/proc.ts";
import { descendantsOf, parentOf } from "../../src/os/processes.ts";

const PROCESSES = join(import.meta.dir, "../../src/os/processes.ts");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "proc-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder as /proc is, in which this process has the number `self`, and that `status`. */
function procWith(self: string | null, status: string | null): string {
  const root = mkdtempSync(join(folder, "root-"));
  if (self !== null) symlinkSync(self, join(root, "self"));
  if (self !== null && status !== null) {
    mkdirSync(join(root, self));
    writeFileSync(join(root, self, "status"), status);
  }
  return root;
}

test("that of this machine is", () => {
  expect(isProcOf(process.pid, "/proc")).toBe(true);
  expect(parentOf(process.pid)).toBe(process.ppid);
  expect(statOf(process.pid)?.[0]).toMatch(/^[RS]$/);
});

const cases: [what: string, self: string | null, status: string | null, isOwn: boolean][] = [
  ["the same number, in one namespace", "5", "Name:\tbun\nNSpid:\t5\n", true],
  ["the same number, and a kernel that tells of no namespaces", "5", "Name:\tbun\n", true],
  ["another number", "4711", "Name:\tbun\nNSpid:\t4711\t5\n", false],
  ["by chance the same number, in an outer namespace", "5", "Name:\tbun\nNSpid:\t5\t5\n", false],
  ["nothing that may be read", "5", null, false],
  ["no process of that namespace", null, null, false],
];
for (const [what, self, status, isOwn] of cases) {
  test(`${what}: ${isOwn ? "it is" : "it is not"}`, () => {
    expect(isProcOf(5, procWith(self, status))).toBe(isOwn);
  });
}

test("there is none: nothing is its own", () => {
  expect(isProcOf(process.pid, join(folder, "none"))).toBe(false);
});

const canUnshare =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "-pf", "true"]).exitCode === 0;

if (!canUnshare) console.error("\n*** no pid namespaces here: /proc of others is NOT tested ***\n");

const describeInside = canUnshare ? describe : () => {};

describeInside("in a pid namespace with the /proc of another one", () => {
  test("nobody has children or parents there, and nobody is killed for it", () => {
    // The numbers of the outer processes, this one among them, exist; they are those of others.
    const text =
      `import { descendantsOf, killDescendants, parentOf } from ${JSON.stringify(PROCESSES)}; ` +
      `killDescendants(1); killDescendants(${process.pid}); ` +
      `console.log(JSON.stringify([process.pid, descendantsOf(1), descendantsOf(${process.pid}), parentOf(${process.pid})]));`;
    const { stdout } = Bun.spawnSync(["unshare", "-pf", process.execPath, "-e", text], {
      stderr: "inherit",
    });
    expect(JSON.parse(stdout.toString())).toEqual([1, [], [], 0]);
    expect(descendantsOf(process.pid)).toBeArray();
  });
});
