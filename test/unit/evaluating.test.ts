import { expect, test } from "bun:test";
import { join } from "node:path";

test("modules that are being evaluated are read without being waited for, or run again", async () => {
  const main = join(import.meta.dir, "fixtures/evaluating/main.ts");
  await using child = Bun.spawn([process.execPath, main], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ stderr, code: await child.exited }).toEqual({ stderr: "", code: 0 });
  expect(stdout.trim().split("\n")).toEqual([
    ...["awaits runs", "awaits true", "main runs", "main true", "ReferenceError"],
    ...["absent undefined", "absent runs", "42"],
  ]);
});
