import { basename, join } from "node:path";
import { AsyncPool, BsyncError, FunctionError, task, ValueError } from "../../../index.ts";
import { assert, failure, refusal, same } from "../assert.ts";
import { Subject } from "../case.ts";
import {
  callHiddenToo,
  callInlineToo,
  callTwin,
  nextCallToo,
  power,
  renamed,
} from "../fixtures/again.ts";
import { hiddenLook, look } from "../fixtures/awaiting.ts";
import byDefault, * as fixture from "../fixtures/functions.ts";
import { count, shout } from "../fixtures/old.cjs";
import * as places from "../fixtures/places.ts";
import { bold, inlineBold } from "../fixtures/view.tsx";

export const functions = new Subject("functions", "code");

const FACTOR = 7;

let inserted = 0;

class Counter {
  #count = 0;
  step = 1;
  static make(): Counter {
    return new Counter();
  }
  up(): number {
    return (this.#count += this.step);
  }
  plain(x: number): number {
    return x + FACTOR;
  }
  arrow = (): number => this.step;
}

function times(x: number): number {
  return x * FACTOR;
}

const timesLater = async (x: number): Promise<number> => await Promise.resolve(times(x));

function tooEarly(): number {
  const read = () => own;
  read();
  const own = 1;
  return own;
}

const registered = task("contract-times", (x: number) => times(x) + inserted);

functions.it("exported: declared, arrow, async, renamed, default, exported again", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(fixture.square, 3), 9);
  assert.equal(await pool.async(fixture.cube, 3), 27);
  assert.equal(await pool.async(fixture.cubeLater, 3), 27);
  assert.equal(await pool.async(fixture.renamed, 3), 1003);
  assert.equal(await pool.async(byDefault, 3), "default 3");
  assert.equal(await pool.async(power, 3), 9);
  assert.equal(await pool.async(renamed, 3), 1003);
  assert.equal(await pool.async(fixture.surroundings, "a/b/c"), "c 1002");
});

functions.it("of a package and of node's own modules, called by a function", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async((path: string) => basename(path), "a/b"), "b");
});

functions.it("top-level of the module that calls, not exported", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(times, 3), 21);
  assert.equal(await pool.async(timesLater, 3), 21);
  assert.equal(await fixture.callHidden(pool, 3), 1006);
  assert.equal(await fixture.callHiddenArrow(pool, 3), 1006);
  assert.equal(await fixture.callHiddenLater(pool, 3), 6);
});

functions.it(
  "top-level of the main script, not exported",
  async ({ main }) => {
    assert.ok(main);
    await using pool = await AsyncPool.open(1);
    assert.equal(await pool.async(main.addOffset, 3), 103);
    assert.equal(await pool.async(main.addLater, 3), 103);
  },
  { main: true },
);

functions.it(
  "of the main script, with a name that stands below open: the name, and where to move it",
  async ({ main }) => {
    assert.ok(main);
    await using pool = await AsyncPool.open(1);
    const handles = [
      pool.async(main.countCases),
      pool.with({ timeout: 5_000 }).async("countCases"),
      pool.async(async (fn: () => number) => await Promise.resolve().then(fn), main.countCases),
      pool.async((fn: () => number) => fn(), main.countCases),
    ];
    for (const handle of handles) {
      const error = await failure(handle, FunctionError);
      assert.match(error.message, /"CASES".*\/run\.ts .* AsyncPool\.open; move "CASES" above/);
      assert.ok(error.cause instanceof ReferenceError);
    }
  },
  { main: true },
);

functions.it("that reads a name of its own too early throws what the engine says", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async("() => 1"), 1); // the main script is loaded
  for (const fn of [tooEarly, () => tooEarly()]) {
    const error = await failure(pool.async(fn), ReferenceError);
    assert.match(error.message, /own/);
  }
});

functions.it("of one name, and of one text, in two modules are two functions", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await callHiddenToo((fn) => pool.async(fn, 3)), -3);
  assert.equal(await fixture.callHidden(pool, 3), 1006);
  assert.equal(await fixture.callInline(pool, 3), 1006);
  assert.equal(
    await callInlineToo((fn) => {
      const handle = pool.async(fn, 3);
      return handle;
    }),
    4,
  );
});

functions.it("of one text in two modules is never taken for the other's", async () => {
  await using pool = await AsyncPool.open(1);
  // The engine drops the frame of the one that calls, so it may not be known which it is.
  const attempt = async (submit: () => PromiseLike<number>, expected: number) => {
    const outcome = await (async () => await submit())().catch((error: unknown) => error);
    if (!(outcome instanceof FunctionError)) assert.equal(outcome, expected);
  };
  await attempt(() => fixture.callTwin(pool, 3), 1006);
  await attempt(() => callTwin((fn) => pool.async(fn, 3)), 4);
});

functions.it("inline: arrows, function expressions, async, methods without this", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async((x: number) => times(x) + FACTOR, 3), 28);
  assert.equal(await pool.async(async (x: number) => (await timesLater(x)) + FACTOR, 3), 28);
  assert.equal(
    await pool.async(function (x: number) {
      return x + FACTOR;
    }, 3),
    10,
  );
  assert.equal(
    await pool.async(function fact(n: number): number {
      return n <= 1 ? 1 : n * fact(n - 1);
    }, 5),
    120,
  );
  const object = {
    method(x: number): number {
      return x * FACTOR;
    },
    async later(x: number): Promise<number> {
      return await timesLater(x);
    },
    arrow: (x: number) => x + FACTOR,
    "odd name": (x: number) => x - FACTOR,
    get: (x: number) => x,
  };
  assert.equal(await pool.async(object.method, 3), 21);
  assert.equal(await pool.async(object.later, 3), 21);
  assert.equal(await pool.async(object.arrow, 3), 10);
  assert.equal(await pool.async(object["odd name"], 3), -4);
  assert.equal(await pool.async(object.get, 3), 3);
  assert.equal(await pool.async(new Counter().plain, 3), 10);
});

functions.it("inline: with inner functions, classes, destructuring, templates", async () => {
  await using pool = await AsyncPool.open(1);
  const fn = ({ a, b: [c, ...rest] }: { a: number; b: number[] }, text = `${a}-${FACTOR}`) => {
    class Pair {
      constructor(
        readonly x: number,
        readonly y: number,
      ) {}
      sum(): number {
        return this.x + this.y;
      }
    }
    const add = (x: number) => x + (c ?? 0);
    return [new Pair(a, add(1)).sum(), rest.length, text, /[`'"]this\b/.test("x")];
  };
  assert.deepEqual(await pool.async(fn, { a: 1, b: [2, 3, 4] }), [4, 2, "1-7", false]);
});

functions.it("inline: made anew at each turn of a loop, or called through a wrapper", async () => {
  await using pool = await AsyncPool.open(1);
  const submit = <A extends unknown[], T>(fn: (...args: A) => T, ...args: A) =>
    pool.async(fn as (...args: unknown[]) => T, ...args);
  const sums: number[] = [];
  for (let i = 0; i < 10; i++) sums.push(await submit((x: number) => x + FACTOR, i));
  assert.deepEqual(
    sums,
    Array.from({ length: 10 }, (_, i) => i + FACTOR),
  );
  assert.equal(await submit((x: number) => x - FACTOR, 10), 3);
});

functions.it("inline: sees the imports of its module, and its names of later on", async () => {
  await using pool = await AsyncPool.open(1);
  const fn = () => [
    basename("x/y"),
    typeof AsyncPool,
    fixture.OFFSET,
    power(2),
    byTheEnd,
    byDefault(1),
  ];
  assert.deepEqual(await pool.async(fn), ["y", "function", 1000, 4, "end", "default 1"]);
});

functions.it("inline: import.meta is that of its module", async () => {
  await using pool = await AsyncPool.open(1);
  const [dir, main] = await pool.async(() => [import.meta.dir, import.meta.main]);
  assert.deepEqual([dir, main], [import.meta.dir, false]);
});

functions.it("text: expressions among the globals", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async("Math.hypot", 3, 4), 5);
  assert.equal(await pool.async("(x) => x + 1", 3), 4);
  assert.equal(await pool.async("async (x) => x + 1", 3), 4);
  assert.equal(await pool.async("function (x) { return x + 1 }", 3), 4);
  assert.equal(await pool.async("function add(x) { return x + 1 } // a comment", 3), 4);
  assert.equal(await pool.async("  Number.parseInt  ", "12px"), 12);
  assert.equal(await pool.async("JSON.stringify", [1]), "[1]");
  assert.equal(await pool.async("((n) => (x) => x + n)(5)", 3), 8);
  assert.equal(await pool.async("{ a: (x) => x }.a", 3), 3);
});

functions.it(
  "text: among the names of the main script",
  async () => {
    await using pool = await AsyncPool.open(1);
    assert.equal(await pool.async("addOffset", 3), 103);
    assert.equal(await pool.async("(x) => addOffset(x) + OFFSET", 3), 203);
    assert.equal(await pool.async("addLater", 3), 103);
  },
  { main: true },
);

functions.it(
  "text: one that does not parse, or yields no function, is a FunctionError",
  async () => {
    await using pool = await AsyncPool.open(1);
    const wrong = ["(x) =>", "", "  ", "1 +", "a; b", "x) => (x", "{", '"unterminated'];
    for (const text of wrong) await refusal(() => pool.async(text), FunctionError);
    for (const text of ["42", "undefined", '"text"', "({})", "Math", "null", "FACTOR_OF_NOBODY"]) {
      const error = await refusal(() => pool.async(text), FunctionError);
      assert.ok(error.message.includes(text), error.message);
    }
    assert.equal(await pool.async("(x) => x", 1), 1);
  },
);

functions.it("text: runs nothing when it is called, and no more than an expression", async () => {
  await using pool = await AsyncPool.open(1);
  await refusal(() => pool.async("1); process.exit(1); ("), FunctionError);
  await refusal(() => pool.async("() => 1); globalThis.broken = 1; (() => 2"), FunctionError);
  assert.equal(await pool.async("() => typeof globalThis.broken"), "undefined");
});

functions.it("registered with task()", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(fixture.sizeOf, "four"), 1004);
  assert.equal(registered(3), 21);
  assert.throws(() => task("", () => 1), TypeError);
  assert.throws(() => task("x", 1 as never), TypeError);
});

functions.it("modules: TSX", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(bold, "x"), "<b>x</b>");
  assert.equal(await inlineBold((fn) => pool.async(fn, 5)), "<b>5</b>px");
});

functions.it("modules: top-level await", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(look, "answer"), 42);
  assert.equal(await hiddenLook((fn) => pool.async(fn, "answer")), 42);
});

functions.it("modules: CommonJS", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(shout, "a/b"), "B");
  const first = await pool.async(count);
  assert.equal(await pool.async(count), first + 1);
  assert.equal(await pool.async((path: string) => shout(path), "a/c"), "C");
});

functions.it("modules: state is the worker's own, and stays between calls", async () => {
  fixture.setState(5000);
  await using pool = await AsyncPool.open(1);
  await pool.async(fixture.setState, 10);
  assert.equal(await pool.async(fixture.nextCall), 11);
  assert.equal(await pool.async(nextCallToo), 12);
  assert.equal(await pool.async(() => fixture.nextCall()), 13);
  const before = await pool.async(() => inserted);
  assert.equal(await pool.async(() => ++inserted), before + 1);
  assert.equal(await pool.async(() => inserted), before + 1);
  assert.deepEqual([fixture.state.calls, inserted], [5000, 0]);
});

functions.it("modules: one that is imported in several ways is one", async () => {
  await using pool = await AsyncPool.open(1);
  assert.deepEqual(await pool.async(places.countTwice), [1, 2]);
});

functions.it("modules: know where they are", async () => {
  await using pool = await AsyncPool.open(1);
  assert.deepEqual(await pool.async(places.whereAmI), places.whereAmI());
  assert.equal(await pool.async(places.readBeside), "a note\n");
});

functions.it(
  "modules: imports of JSON, text and CommonJS, at once, later, by require",
  async () => {
    await using pool = await AsyncPool.open(1);
    same(await pool.async(places.imported), ["B", { name: "note" }, "a note\n"]);
    assert.equal(await pool.async(places.loadLater), 27);
    assert.equal(await pool.async(places.required), "Y");
  },
);

functions.it("modules: one that throws when a worker loads it fails its calls only", async () => {
  Object.defineProperty(globalThis, Symbol.for("contract.controller"), { value: true });
  const { unreachable, unreachableInline } = await import("../fixtures/refusing.ts");
  await using pool = await AsyncPool.open(1);
  for (let again = 0; again < 2; again++) {
    const error = await failure(pool.async(unreachable), FunctionError);
    assert.match(error.message, /refusing\.ts/);
    assert.match(error.message, /this module refuses to load here/);
    assert.equal(await pool.async(times, 1), 7);
  }
  await failure(
    unreachableInline((fn) => pool.async(fn)),
    FunctionError,
  );
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("refused at the call: native, bound, a class, a method that needs this", async () => {
  await using pool = await AsyncPool.open(1);
  const counter = new Counter();
  const wrong: [unknown, RegExp][] = [
    [Math.max, /max.*native/],
    [parseInt, /native/],
    [times.bind(null), /times.*bound/],
    [(() => 1).bind(null), /bound/],
    [Counter, /class.*Counter/],
    [Map, /Map/],
    [class {}, /class/],
    [counter.up, /up.*this/],
    [Counter.prototype.up, /up.*this/],
    [counter.arrow, /this/],
  ];
  for (const [fn, expected] of wrong) {
    const submit = () => pool.async(fn as () => void);
    assert.throws(submit, FunctionError, `${String(fn)} was not refused at the call`);
    assert.throws(submit, { code: "BSYNC_FUNCTION", message: expected });
  }
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("refused at the call: an arrow with this inside of a method", async () => {
  await using pool = await AsyncPool.open(1);
  const owner = {
    step: 1,
    submit() {
      return pool.async((x: number) => x + this.step, 1);
    },
  };
  await refusal(() => owner.submit(), FunctionError);
});

functions.it("refused: what is no function at all", async () => {
  await using pool = await AsyncPool.open(1);
  for (const fn of [42, null, undefined, {}, [], Symbol("s"), true, 1n]) {
    await refusal(() => pool.async(fn as never), Error);
  }
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("a variable of an enclosing function is named by a FunctionError", async () => {
  await using pool = await AsyncPool.open(1);
  const local = Math.random();
  const $odd = 5;
  const add = (x: number) => x + local;
  const named = async (fn: () => unknown, name: string) => {
    const error = await failure(pool.async(fn), FunctionError);
    assert.ok(error.message.includes(`"${name}"`), error.message);
    assert.match(error.message, /argument/);
    assert.equal(error.code, "BSYNC_FUNCTION");
  };
  await named(() => local, "local");
  await named(() => $odd * 2, "$odd");
  await named(() => add(1), "add");
  await named(async () => local, "local");
  await named(async () => {
    await Promise.resolve();
    return local;
  }, "local");
  await named(() => [1].map((x) => x + local), "local");
  await named(() => {
    return { local };
  }, "local");
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("a ReferenceError that is the function's own arrives as itself", async () => {
  await using pool = await AsyncPool.open(1);
  const own = () => {
    throw new ReferenceError("no such book");
  };
  assert.equal((await failure(pool.async(own), ReferenceError)).message, "no such book");
  const other = () => fixture.useMissing();
  assert.match((await failure(pool.async(other), ReferenceError)).message, /nobodyHasThis/);
});

functions.it("as arguments, alone and inside of others", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(fixture.apply<[number], number>, fixture.square, 3), 9);
  assert.equal(await pool.async(fixture.apply<[number], number>, times, 3), 21);
  assert.equal(await pool.async(fixture.apply<[number], number>, (x: number) => x + FACTOR, 3), 10);
  const applyLater = fixture.apply<[number], Promise<number>>;
  assert.equal(await pool.async(applyLater, fixture.cubeLater, 3), 27);
  const run = (tools: { list: ((x: number) => number)[]; map: Map<string, () => number> }) => [
    ...tools.list.map((fn) => fn(2)),
    tools.map.get("a")?.(),
  ];
  const tools = { list: [times, fixture.cube], map: new Map([["a", () => FACTOR]]) };
  assert.deepEqual(await pool.async(run, tools), [14, 8, 7]);
  const equal = (a: unknown, b: { a: unknown }) => a === b.a;
  assert.equal(await pool.async(equal, times, { a: times }), true);
});

functions.it("as arguments, refused like others: native, bound, a closure", async () => {
  await using pool = await AsyncPool.open(1);
  const call = fixture.apply<[], unknown>;
  const offset = Math.random();
  await refusal(() => pool.async(call, Math.random), BsyncError);
  await refusal(() => pool.async(call, times.bind(null, 1)), BsyncError);
  await refusal(() => pool.async((c: unknown) => c, { deep: [new Counter().up] }), BsyncError);
  const error = await failure(
    pool.async(call, () => offset),
    Error,
  );
  assert.match(error.message, /offset/);
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("as results they do not travel, and the path is told", async () => {
  await using pool = await AsyncPool.open(1);
  const make = () => ({ tools: [1, () => 2] });
  const error = await failure(pool.async(make), ValueError);
  assert.match(error.message, /result\.tools\[1\]/);
  await failure(
    pool.async(() => times),
    ValueError,
  );
  assert.equal(await pool.async(times, 1), 7);
});

functions.it("a module that is written while the program runs can be used", async () => {
  const path = join(process.env["TMPDIR"] ?? "/tmp", `written-${process.pid}.ts`);
  await Bun.write(path, "const by: number = 2;\nexport const twice = (x: number) => x * by;\n");
  try {
    const { twice } = (await import(path)) as { twice: (x: number) => number };
    await using pool = await AsyncPool.open(1);
    assert.equal(await pool.async(twice, 4), 8);
  } finally {
    await Bun.file(path).delete();
  }
});

const byTheEnd = "end";
