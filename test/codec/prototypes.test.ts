/** What a program does to the prototypes of all objects takes nothing from values. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const PROGRAM = join(import.meta.dir, "fixtures/prototypes.ts");

/** A program of its own: what is frozen stays so. */
async function differences(change: string): Promise<unknown> {
  await using child = Bun.spawn([process.execPath, PROGRAM, change], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const CHANGES = {
  frozen: "values arrive where the prototypes are frozen",
  setters: "values arrive where Object.prototype has setters of their names",
  elements: "values arrive where Array.prototype has setters of elements",
  "elements of all": "values arrive where Object.prototype has setters of elements",
  "read only": "values arrive where a method of all objects was made read-only",
  "a getter of descriptors": "values arrive where all objects inherit a `get`",
};

for (const [change, sentence] of Object.entries(CHANGES)) {
  test(sentence, async () => {
    expect(await differences(change)).toEqual({ found: [], taken: 0 });
  });
}
