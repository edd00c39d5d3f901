import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteShift } from "../../src/function/maps.ts";
import { withoutFrames } from "../../src/errors.ts";
import { userStack } from "../../src/function/stack.ts";

const folder = mkdtempSync(join(tmpdir(), "bsync-stack-"));
afterAll(() => rmSync(folder, { recursive: true }));

const own = join(import.meta.dir, "../../src/worker/session.ts");

test("frames of bsync are left out, and all that is below the task's own", () => {
  const stack = [
    "Error: m",
    "    at far (/far/away.ts:3:4)",
    `    at within (${own}:1:2)`,
    "    at map (native:1:11)",
    "    at bsync: call (/far/bundle.js:1:2)",
    "    at x (/far/bundle.js:1:3)",
  ].join("\n");
  const kept = ["Error: m", "    at far (/far/away.ts:3:4)", "    at map (native:1:11)"];
  expect(userStack(stack)).toBe(kept.join("\n"));
  const later = stack.replace("at bsync: call", "at async bsync: wait");
  expect(userStack(later)).toBe(kept.join("\n"));
});

test("columns of a first line are those of the file", () => {
  noteShift("/far/first.ts", 300);
  const frames = (column: number) => `Error\n    at f (/far/first.ts:1:${column})`;
  expect(userStack(frames(317))).toBe(frames(17));
  // Of what was evaluated there.
  expect(userStack(frames(17))).toBe(frames(17));
  expect(userStack("Error\n    at /far/first.ts:2:317")).toBe("Error\n    at /far/first.ts:2:317");
});

test("what another worker has told is left as it is", () => {
  noteShift("/far/first.ts", 300);
  const stack = [
    "Error: m",
    '    at --- task 1: f("x") on worker 0 (pid 1, host a) --- (remote)',
    "    at f (/far/first.ts:1:317)",
    `    at g (${own}:1:2)`,
  ].join("\n");
  expect(userStack(stack)).toBe(stack);
});

test("places in bundles are those of the sources, wherever the map is", async () => {
  const source = join(folder, "source.ts");
  await Bun.write(source, "// first\nexport function f() {\n  throw new Error('m');\n}\n");
  for (const sourcemap of ["linked", "inline", "external"] as const) {
    const outdir = join(folder, sourcemap);
    const options = { entrypoints: [source], outdir, minify: true, sourcemap };
    await Bun.build({ ...options, target: "bun" });
    const bundle = join(outdir, "source.js");
    const lines = (await Bun.file(bundle).text()).split("\n");
    const line = lines.findIndex((text) => text.includes("throw"));
    const column = lines[line]!.indexOf("Error(");
    const stack = `Error: m\n    at f (${bundle}:${line + 1}:${column + 1})`;
    expect(userStack(stack)).toStartWith(`Error: m\n    at f (${source}:3:`);
  }
});

test("an error of bsync's own has no frames", () => {
  const error = withoutFrames(new RangeError("m"));
  expect(error.stack).toBe("RangeError: m");
  expect(Object.keys(error)).toEqual([]);
});
