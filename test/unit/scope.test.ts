import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { isOwnFile, plainPath } from "../../src/function/paths.ts";
import { FarEnd } from "./far-end.ts";

const fixture = (name: string) => join(import.meta.dir, "fixtures", "scope", name);
const MAIN = fixture("main.ts");

const farEnd = new FarEnd(MAIN);
afterAll(() => farEnd[Symbol.asyncDispose]());

const load = (name: string) => farEnd.ask({ do: "load", path: fixture(name) });
const evaluate = (text: string, name = "main.ts") =>
  farEnd.ask({ do: "evaluate", path: fixture(name), text });

/** What a call throws there. */
async function thrownBy(answer: Promise<unknown>): Promise<Error> {
  try {
    await answer;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not throw");
}

describe("a module whose scope is open", () => {
  beforeAll(() => load("main.ts"));

  test("gives its top-level names, exported or not, as they are now", async () => {
    expect(await evaluate("state")).toBe("at the start");
    expect(await evaluate('setState("changed")')).toBe("changed");
    expect(await evaluate("state")).toBe("changed");
    expect(await evaluate("shape.corners")).toBe(4);
    expect((await thrownBy(evaluate("corners"))).name).toBe("ReferenceError");
  });

  test("gives what it imports: TypeScript, JSON, CommonJS, built-in modules, packages", async () => {
    expect(await evaluate("others")).toEqual(["left", 42, 43, "b", "function"]);
  });

  test("knows itself by its own name", async () => {
    expect(await evaluate("meta")).toMatchObject({ url: Bun.pathToFileURL(MAIN).href });
    expect(await evaluate("meta")).toMatchObject({ dir: join(MAIN, "..") });
  });

  test("has the lines of its file", async () => {
    const { message, stack } = await thrownBy(evaluate("throwHere()"));
    expect(message).toBe("line 23");
    expect(stack).toMatch(/main\.ts(\?bsync)?:23:/);
  });

  test("has strings and comments as they were written, whatever they look like", async () => {
    expect(await evaluate("quoted")).toBe(
      'import { count } from "./counter.ts"; import("./left.ts")',
    );
    expect(await evaluate("template")).toBe('export * from "./left.ts"');
  });

  test("is loaded once, however often and in whatever way it is asked for", async () => {
    const before = await evaluate("count");
    await Promise.all([load("main.ts"), load("left.ts"), load("counter.ts"), load("main.ts")]);
    expect(await evaluate("count")).toBe(before);
  });

  test("shares one graph with what it imports, statically and later", async () => {
    const count = (await evaluate("increment()")) as number;
    expect(await evaluate("lazily()")).toBe(count + 1);
    await load("counter.ts");
    expect(await evaluate("increment()", "counter.ts")).toBe(count + 2);
    expect(await evaluate("count")).toBe(count + 2);
    expect(await evaluate("count", "left.ts")).toBe(count + 2);
  });

  test("may be part of a circle", async () => {
    expect(await evaluate("left.nameOfOther()")).toMatch(/^right of left, \d+, function$/);
    expect(await evaluate("nameOfOther", "right.ts").catch(() => "a function")).toBe("a function");
  });
});

describe("exports", () => {
  const call = (name: string, ...args: unknown[]) =>
    farEnd.ask({ do: "call", reference: { kind: "export", module: MAIN, name }, args });

  test("under another name, of another module, or by a star", async () => {
    expect(await call("incremented")).toBeNumber();
    expect(await call("corners", { corners: 5 })).toBe(5);
  });

  test("that are not there, or are no functions", async () => {
    const message = (name: string) => `Cannot find the export "${name}" of ${MAIN} on this worker`;
    expect((await thrownBy(call("nothing"))).message).toBe(message("nothing"));
    expect((await thrownBy(call("shape"))).message).toBe(message("shape"));
    expect((await thrownBy(call("toString"))).message).toBe(message("toString"));
  });
});

describe("a CommonJS module", () => {
  test("gives its exports, and its other names", async () => {
    await load("legacy.cjs");
    const module = fixture("legacy.cjs");
    const reference = { kind: "export", module, name: "times" } as const;
    expect(await farEnd.ask({ do: "call", reference, args: [2] })).toBe(84);
    expect(await evaluate("typeof hidden", "legacy.cjs")).not.toBe("undefined");
  });
});

describe("a module that throws", () => {
  test("is refused each time with what it threw, and its functions are there", async () => {
    for (let i = 0; i < 2; i++) {
      const { name, message, stack } = await thrownBy(load("throwing.ts"));
      expect([name, message]).toEqual(["TypeError", "no good: before"]);
      expect(stack).toMatch(/throwing\.ts(\?bsync)?:7:/);
    }
    expect(await evaluate("early()", "throwing.ts")).toBe(
      "a function is there before its module has run",
    );
  });

  test("as the reason why a function was not found", async () => {
    const module = fixture("throwing.ts");
    const reference = { kind: "export", module, name: "early" } as const;
    const { name, message } = await thrownBy(farEnd.ask({ do: "call", reference, args: [] }));
    expect({ name, message }).toEqual({
      name: "FunctionError",
      message:
        'Cannot load the module of "early" on this worker: ' +
        `${module} threw TypeError: no good: before`,
    });
  });

  test("for want of another module", async () => {
    const { message } = await thrownBy(load("broken.ts"));
    expect(message).toContain("no-such-file.ts");
    expect(message).toContain(fixture("broken.ts"));
  });

  test("for not being there", async () => {
    expect((await thrownBy(load("absent.ts"))).message).toContain(fixture("absent.ts"));
  });
});

describe("a module that comes to AsyncPool.open", () => {
  test("has loaded when it is there, with what it had come to, if it is the main script", async () => {
    await farEnd.ask({ do: "load", path: fixture("opening.ts"), main: true });
    expect(await evaluate("describe()", "opening.ts")).toBe("ran before open");
    const { name } = await thrownBy(evaluate("after", "opening.ts"));
    expect(name).toBe("ReferenceError");
    const module = fixture("opening.ts");
    const reference = { kind: "export", module, name: "describe" } as const;
    expect(await farEnd.ask({ do: "call", reference, args: [] })).toBe("ran before open");
  });
});

describe("other kinds of modules", () => {
  test("one that begins with #! has the lines of its file", async () => {
    await load("hashbang.ts");
    expect(await evaluate("secret", "hashbang.ts")).toBe(7);
    expect(await evaluate("line", "hashbang.ts")).toMatch(/hashbang\.ts(\?bsync)?:2:/);
  });

  test("one of TSX", async () => {
    await load("page.tsx");
    expect(await evaluate("[page, generic(1)]", "page.tsx")).toEqual(["<p>text</>", 1]);
  });

  test("one of tests: its names are there, and its tests do nothing", async () => {
    await load("suite.test-file.ts");
    expect(await evaluate("helper(4)", "suite.test-file.ts")).toBe(8);
    const { message } = await thrownBy(evaluate("expect(1)", "suite.test-file.ts"));
    expect(message).toBe("Cannot use expect in a task: a worker is no test runner; return a value");
  });
});

describe("paths", () => {
  test.each([
    ["/a/b.ts", "/a/b.ts"],
    ["/a/b?bsync.tsx", "/a/b"],
    ["file:///a/b%20c.ts", "/a/b c.ts"],
    ["file:///a/b.ts%3Fbsync-inline-3", "/a/b.ts"],
    ["/a/?bsync/b.ts", "/a/?bsync/b.ts"],
  ])("%s is %s", (path, plain) => {
    expect(plainPath(path)).toBe(plain);
  });

  test("bsync's own files are told from the program's", () => {
    const root = join(import.meta.dir, "..", "..");
    for (const path of ["index.ts", "src/pool.ts", "src/link/mpi/hub.ts"]) {
      expect(isOwnFile(join(root, path))).toBeTrue();
    }
    for (const path of ["test/unit/scope.test.ts", "examples/primes.ts", "srcs/a.ts"]) {
      expect(isOwnFile(join(root, path))).toBeFalse();
    }
  });
});
