import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeThrown } from "../../src/codec/thrown.ts";
import { noteShift } from "../../src/function/maps.ts";
import { madeWithoutFrames, withoutFrames } from "../../src/errors.ts";
import { userFrames } from "../../src/function/stack.ts";

const folder = mkdtempSync(join(tmpdir(), "bsync-stack-"));
afterAll(() => rmSync(folder, { recursive: true }));

const nothingKnown = { functionId: () => 0, classOf: () => null };
const own = join(import.meta.dir, "../../src/worker/session.ts");

test("frames of bsync are left out, and all that is below the task's own", () => {
  const stack = [
    "Error: m",
    "    at far (/far/away.ts:3:4)",
    `    at within (${own}:1:2)`,
    "    at new Plain (unknown:1:28)",
    "    at unknown:1:28",
    "    at map (native:1:11)",
    "    at bsync: call (/far/bundle.js:1:2)",
    "    at x (/far/bundle.js:1:3)",
  ].join("\n");
  const kept = ["Error: m", "    at far (/far/away.ts:3:4)", "    at map (native:1:11)"];
  expect(userFrames(stack)).toBe(kept.join("\n"));
  const later = stack.replace("at bsync: call", "at async bsync: wait");
  expect(userFrames(later)).toBe(kept.join("\n"));
});

test("a long message without spaces takes no time, and stays whole", () => {
  const message = "data:image/png;base64,".concat("a/b".repeat(500_000));
  const error = new Error(message);
  const { buffers } = encodeThrown(error, { ...nothingKnown, framesFor: userFrames });
  const [there, stack] = buffers.map((bytes) => Buffer.from(bytes).toString());
  expect(there === message && stack!.startsWith(`Error: ${message}\n    at `)).toBe(true);
  error.stack = `Error: m\n    at ${"/".repeat(1_000_000)}`;
  encodeThrown(error, { ...nothingKnown, framesFor: userFrames });
});

test("columns of a first line are those of the file", () => {
  noteShift("/far/first.ts", 300);
  const frames = (column: number) => `Error\n    at f (/far/first.ts:1:${column})`;
  expect(userFrames(frames(317))).toBe(frames(17));
  // Of what was evaluated there.
  expect(userFrames(frames(17))).toBe(frames(17));
  expect(userFrames("Error\n    at /far/first.ts:2:317")).toBe("Error\n    at /far/first.ts:2:317");
});

test("what another worker has told is left as it is", () => {
  noteShift("/far/first.ts", 300);
  const stack = [
    "Error: m",
    '    at --- task 1: f("x") on worker 0 (pid 1, host a) --- (node:remote:0:0)',
    "    at f (/far/first.ts:1:317)",
    `    at g (${own}:1:2)`,
  ].join("\n");
  expect(userFrames(stack)).toBe(stack);
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
    expect(userFrames(stack)).toStartWith(`Error: m\n    at f (${source}:3:`);
  }
});

test("an error that is made without frames has none, on the console neither", () => {
  const limit = Error.stackTraceLimit;
  const error = madeWithoutFrames(() => new RangeError("m"));
  expect(Error.stackTraceLimit).toBe(limit);
  expect(error.stack).toBe("RangeError: m");
  expect(Bun.inspect(error)).not.toContain("stack.test.ts");
});

test("an error of bsync's own has no frames", () => {
  const error = withoutFrames(new RangeError("m"));
  expect(error.stack).toBe("RangeError: m");
  expect(Object.keys(error)).toEqual([]);
});
