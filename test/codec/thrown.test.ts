import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { type ErrorClass, KNOWN } from "../../src/codec/known.ts";
import { decodeThrown, encodeThrown } from "../../src/codec/thrown.ts";
import * as errors from "../../src/errors.ts";
import { difference } from "./same.ts";
import { Known, received, roundTrip } from "./trip.ts";

const ORIGIN = 'task 17: render("a.png", 320) on worker 2 (rank 3, pid 4711, host node7)';

function thrownTrip(thrown: unknown, context = new Known()): unknown {
  return decodeThrown(received(encodeThrown(thrown, context)), context, () => ORIGIN);
}

class Plain extends Error {}
class Named extends RangeError {
  override name = "Named";
  constructor(
    readonly size: number,
    options?: ErrorOptions,
  ) {
    super(`size ${size.toFixed()}`, options);
  }
}
class Getters extends Error {
  #secret = 1;
  get secret(): number {
    return this.#secret;
  }
  override get name(): string {
    return `Getters${this.secret}`;
  }
  override get message(): string {
    return `secret ${this.secret}`;
  }
}
class OnPrototype extends TypeError {}
OnPrototype.prototype.name = "OnPrototype";

const lost = { worker: 1, rank: 3, pid: 9, exitCode: null, signal: "SIGKILL" };
const withCause = new Error("outer", { cause: new Named(3, { cause: "a text" }) });
const cyclicError = new Error("cyclic");
cyclicError.cause = { inside: [cyclicError] };

/** All of these arrive the same to the last property. */
const exact: Record<string, Error> = {
  "an Error": new Error("message"),
  "an Error without a message": new Error(),
  "an EvalError": new EvalError("m"),
  "a RangeError": new RangeError("m"),
  "a ReferenceError": new ReferenceError("m"),
  "a SyntaxError": new SyntaxError("m"),
  "a TypeError": new TypeError("m"),
  "a URIError": new URIError("m"),
  "an AggregateError": new AggregateError([new TypeError("in"), 5, null], "m"),
  "a SuppressedError": new SuppressedError(new TypeError("a"), "b", "m"),
  "a cause": withCause,
  "a cause that is undefined": new Error("m", { cause: undefined }),
  "a cause that was assigned": Object.assign(new Error("m"), { cause: 1 }),
  "a cycle through the cause": cyclicError,
  "own properties": Object.assign(new Error("m"), {
    code: "E",
    [Symbol("s")]: 1,
    deep: { a: [-0] },
  }),
  "an own name": Object.assign(new Error("m"), { name: "Other" }),
  "an own __proto__": Object.defineProperty(new Error("m"), "__proto__", {
    value: 1,
    enumerable: true,
    writable: true,
    configurable: true,
  }),
  "a class that is known": new Named(7),
  "a class with a name on its prototype": new OnPrototype("m"),
  "a message with lone surrogates": new Error("\ud800 \uFEFF"),
  ProcException: new errors.ProcException(new Named(1)),
  TimeoutError: new errors.TimeoutError("m"),
  WorkerLostError: new errors.WorkerLostError("m", lost),
  CancelledError: new errors.CancelledError("m", { cause: 5 }),
  PoolClosedError: new errors.PoolClosedError("m"),
  QueueFullError: new errors.QueueFullError("m"),
  FunctionError: new errors.FunctionError("m"),
  ValueError: new errors.ValueError("m"),
  MpiError: new errors.MpiError("m", 5, "text"),
  CheckpointError: new errors.CheckpointError("m", { cause: 5 }),
};
const known = new Known([], [Named, OnPrototype, Getters]);

test("each of bsync's own classes is among those that every side knows", () => {
  const classes = Object.values(errors).filter((one) => Error.isPrototypeOf(one));
  expect(classes.length).toBeGreaterThan(10);
  expect(classes.filter((one) => !KNOWN.includes(one as ErrorClass))).toEqual([]);
});

describe("errors inside a value", () => {
  for (const [name, error] of Object.entries(exact)) {
    test(`${name} arrives as it was`, () => {
      const arrived = roundTrip([error, { again: error }] as const, known);
      expect(difference(arrived, [error, { again: error }])).toBeNull();
      expect(Error.isError(arrived[0])).toBe(true);
      expect(arrived[0].stack).toBe(error.stack!);
      expect(arrived[0].message).toBe(error.message);
      expect(arrived[0].name).toBe(error.name);
    });
  }

  test("those of bsync are shown with their class, here and over there", () => {
    for (const [name, error] of Object.entries(exact)) {
      if (!(error instanceof errors.BsyncError)) continue;
      expect(error.name).toBe(error.constructor.name);
      expect(Object.keys(error)).not.toContain("name");
      for (const shown of [error, roundTrip(error, known)]) {
        expect(Bun.inspect(shown)).toContain(`${name}: ${error.message}`);
      }
    }
  });

  test("an absent cause stays absent", () => {
    expect("cause" in roundTrip(new Error("m"))).toBe(false);
    expect(Object.hasOwn(roundTrip(new Error("m", { cause: undefined })), "cause")).toBe(true);
    expect("errors" in roundTrip(new Error("m"))).toBe(false);
  });

  test("a DOMException keeps message, name and code", () => {
    const arrived = roundTrip(new DOMException("gone", "AbortError"));
    expect(arrived).toBeInstanceOf(DOMException);
    expect([arrived.message, arrived.name, arrived.code]).toEqual(["gone", "AbortError", 20]);
  });

  test("a class that nobody else knows becomes one of its name, on what is known below it", () => {
    const arrived = roundTrip(new Named(7));
    expect(arrived).toBeInstanceOf(RangeError);
    expect(arrived.constructor).not.toBe(Named);
    expect([arrived.constructor.name, arrived.name]).toEqual(["Named", "Named"]);
    expect([arrived.message, arrived.size]).toEqual(["size 7", 7]);
    expect(roundTrip(new Named(8)).constructor).toBe(arrived.constructor);
    const plain = roundTrip(new Plain("m"));
    expect([plain.constructor.name, plain.name]).toEqual(["Plain", "Error"]);
    const named = roundTrip(new OnPrototype("m"));
    expect([named.name, named.constructor.name]).toEqual(["OnPrototype", "OnPrototype"]);
    expect(named).toBeInstanceOf(TypeError);
    class Nearer extends Named {}
    const nearer = roundTrip(new Nearer(9), known);
    expect(nearer).toBeInstanceOf(Named);
    expect(nearer.constructor.name).toBe("Nearer");
  });

  test("a class is rebuilt without its constructor, and its getters are left alone", () => {
    expect(roundTrip(new Getters(), known)).toBeInstanceOf(Getters);
    const unknown = roundTrip(new Getters());
    expect([unknown.name, unknown.message]).toEqual(["Getters1", "secret 1"]);
  });

  test("what only inherits from Error arrives as an error", () => {
    const old = Object.assign(Object.create(RangeError.prototype) as Error, { message: "old" });
    const arrived = roundTrip(old);
    expect([arrived.constructor, arrived.message]).toEqual([RangeError, "old"]);
  });

  test("an error of another realm arrives as one of this", () => {
    const arrived = roundTrip(runInNewContext("new TypeError('far')") as Error);
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived.message).toBe("far");
  });

  test("a class that is no error's is not used", () => {
    class NoError {}
    const context = Object.assign(new Known(), {
      classOf: () => [{ module: "m", name: "Named" }],
      classFor: () => NoError,
    });
    const arrived = roundTrip(new Named(1), context);
    expect(arrived).toBeInstanceOf(RangeError);
    expect(arrived).not.toBeInstanceOf(NoError);
  });
});

describe("what was thrown", () => {
  test("the stack names the place, before the frames of over there", () => {
    const error = new Named(3);
    error.stack = "Named: size 3\n    at far (/far/away.ts:1:2)\n    at main (/far/main.ts:3:4)";
    const arrived = thrownTrip(error, known) as Error;
    expect(arrived.stack).toBe(
      `Named: size 3\n    at --- ${ORIGIN} --- (node:remote:0:0)\n` +
        "    at far (/far/away.ts:1:2)\n    at main (/far/main.ts:3:4)",
    );
    expect(Object.getOwnPropertyDescriptor(arrived, "stack")?.enumerable).toBe(false);
  });

  test("the console shows the place and the remote frames, and none of this process", () => {
    const error = new TypeError("several\nlines");
    error.stack =
      `${error.name}: ${error.message}\n    at far (/far/away.ts:1:2)\n` +
      "    at /far/nameless.ts:3:4\n    at async /far/waiting.ts:5:6\n    at main (/far/main.ts:7:8)";
    const shown = Bun.inspect(thrownTrip(error));
    expect(shown).toContain(`at --- ${ORIGIN} ---`);
    expect(shown).toContain("at far (/far/away.ts:1:2)");
    expect(shown).toContain("/far/nameless.ts:3:4");
    expect(shown).toContain("/far/waiting.ts:5:6");
    expect(shown).toContain("at main (/far/main.ts:7:8)");
    expect(shown).not.toContain("src/codec");
    expect(shown).not.toContain("test/codec");
  });

  test("a message that looks like frames stays a message", () => {
    const error = new TypeError("one\n    at home");
    error.stack = `${error.name}: ${error.message}\n    at far (/far/away.ts:1:2)`;
    const { stack } = thrownTrip(error) as Error;
    expect(stack).toStartWith(`TypeError: one\n    at home\n    at --- ${ORIGIN} ---`);
  });

  test("an uncaught one is printed in the same way", async () => {
    const path = (name: string): string => new URL(name, import.meta.url).pathname;
    const program = `
      import { decodeThrown, encodeThrown } from ${JSON.stringify(path("../../src/codec/thrown.ts"))};
      function far() { return new RangeError("boom"); }
      const error = (() => { const error = far(); error.own = 1; return error; })();
      const encoded = encodeThrown(error, { classOf: () => null });
      throw decodeThrown({ ...encoded, body: encoded.body.slice() }, {}, () => ${JSON.stringify(ORIGIN)});
    `;
    const folder = mkdtempSync(join(tmpdir(), "bsync-codec-"));
    const file = join(folder, "far.ts");
    await Bun.write(file, program);
    await using proc = Bun.spawn([process.execPath, file], { stderr: "pipe" });
    const text = await proc.stderr.text();
    rmSync(folder, { recursive: true });
    expect(text).toContain("RangeError: boom");
    // Its source, as of an error of this process.
    expect(text).toContain("const error = (() => {");
    const shown = text.slice(text.indexOf("RangeError: boom"));
    expect(shown).toContain(`at --- ${ORIGIN} --- (node:remote)\n`);
    expect(shown.split(`${file}:`).length).toBe(3);
    expect(shown).not.toContain("src/codec");
  });

  test("a message that holds a stack leaves the frames as they are", () => {
    const error = new Error("outer");
    error.message = `caught Error: inner\n    at deep (/far/deep.ts:1:2)\n    at bsync: call (/x:1:1)`;
    error.stack = `Error: ${error.message}\n    at far (/far/away.ts:1:2)`;
    const cut = Object.assign(new Known(), { framesFor: (frames: string) => `${frames}!` });
    const { stack, message } = thrownTrip(error, cut) as Error;
    expect(message).toBe(error.message);
    const frames = `    at --- ${ORIGIN} --- (node:remote:0:0)\n    at far (/far/away.ts:1:2)!`;
    expect(stack).toBe(`Error: ${error.message}\n${frames}`);
  });

  test("the stacks of an AggregateError's errors name the place, too: the console shows those", () => {
    const inner = new AggregateError([new RangeError("deep")], "inner");
    const error = new AggregateError([new TypeError("one"), inner, "no error"], "all");
    inner.errors.push(error);
    const arrived = thrownTrip(error) as AggregateError;
    const [one, below] = arrived.errors as [Error, AggregateError];
    for (const { stack } of [arrived, one, below, below.errors[0] as Error]) {
      expect(stack!.split(ORIGIN).length).toBe(2);
    }
    expect(Bun.inspect(arrived)).toContain(ORIGIN);
  });

  test("a stack that is set or deep without end is cut, between its ends", () => {
    const error = new Error("m");
    const frames = Array.from({ length: 100_000 }, (_, i) => `    at f${i} (/far/away.ts:1:2)`);
    error.stack = ["Error: m", ...frames].join("\n");
    const { stack } = thrownTrip(error) as Error;
    expect(stack!.length).toBeLessThan(70_000);
    expect(stack).toContain("\n    at f0 (");
    expect(stack).toContain("\n    at f99999 (");
    expect(stack).toMatch(/\n {4}\.\.\. \d+ more frames\n/);
    for (const text of ["x", "    at x", "\n    at /"].map((part) => part.repeat(1_000_000))) {
      error.stack = text;
      expect((thrownTrip(error) as Error).stack!.length).toBeLessThan(140_000);
    }
  });

  test("an error without frames still names the place", () => {
    const error = new Error("m");
    error.stack = "";
    expect((thrownTrip(error) as Error).stack).toContain(ORIGIN);
    Reflect.deleteProperty(error, "stack");
    expect((thrownTrip(error) as Error).stack).toBe(
      `Error: m\n    at --- ${ORIGIN} --- (node:remote:0:0)`,
    );
  });

  for (const value of [42, "text", -0, undefined, null, 10n, [1, [2]], { a: new Map([[1, 2]]) }]) {
    test(`${Bun.inspect(value, { compact: true })} arrives as itself`, () => {
      expect(difference(thrownTrip(value), value)).toBeNull();
    });
  }

  test("what cannot travel inside is described, the rest arrives", () => {
    const error = Object.assign(new Named(2, { cause: { socket: Promise.resolve(), port: 80 } }), {
      symbol: Symbol("s"),
      callback: function named() {},
      get bad() {
        return 1;
      },
      ok: [1, 2],
    });
    Object.defineProperty(error, "bad", {
      enumerable: true,
      get() {
        throw new Error("no");
      },
    });
    const arrived = thrownTrip(error, known) as Named & Record<string, unknown>;
    expect(arrived).toBeInstanceOf(Named);
    expect(arrived.cause).toEqual({
      socket: "[a Promise cannot travel to another process]",
      port: 80,
    });
    expect(arrived["symbol"]).toBe("[a symbol cannot travel to another process]");
    expect(arrived["callback"]).toBe("[function named]");
    expect(arrived["bad"]).toBe("[reading it threw Error: no]");
    expect(arrived["ok"]).toEqual([1, 2]);
    expect(thrownTrip({ code: 5, on: new WeakMap() })).toEqual({
      code: 5,
      on: "[a WeakMap cannot travel to another process]",
    });
  });

  for (const value of [Symbol("s"), Promise.resolve(1), () => 5, new WeakMap()]) {
    test(`${Bun.inspect(value)} arrives as a ValueError that shows it`, () => {
      const arrived = thrownTrip(value) as Error;
      expect(arrived).toBeInstanceOf(errors.ValueError);
      expect(arrived.message).toStartWith("Cannot send what was thrown: ");
      expect(arrived.message).toContain(Bun.inspect(value));
      expect(arrived.stack).toContain(ORIGIN);
    });
  }

  test("nothing makes it throw", () => {
    const explode = (): never => {
      throw new Error("explodes");
    };
    const trap = { get: explode, ownKeys: explode, getPrototypeOf: explode, has: explode };
    const half = { ownKeys: (): string[] => ["a", "b"], getOwnPropertyDescriptor: explode };
    const revoked = Proxy.revocable([], {});
    revoked.revoke();
    const hostile: unknown[] = [
      new Proxy({}, trap),
      new Proxy(new Error("m"), trap),
      new Proxy(new Error("m"), half),
      new Proxy([1, 2, 3], { get: (_, key) => (key === "length" ? 3 : explode()) }),
      revoked.proxy,
      Object.defineProperty(new Error("m"), "message", { get: explode }),
      Object.defineProperty(new Error("m"), "stack", { get: explode }),
      Object.defineProperty(new Error("m"), "cause", { get: explode }),
      Object.defineProperties(new Error("m"), {
        name: { value: 5 },
        stack: { value: 5 },
      }),
      Object.setPrototypeOf(new Error("m"), null),
      Object.setPrototypeOf(new Error("m"), new Proxy({}, trap)),
      { [Symbol.toStringTag]: 5, constructor: null, get a(): never { return explode(); } }, // prettier-ignore
    ];
    const hostileContext = Object.assign(new Known(), { classOf: explode, functionId: explode });
    for (const value of hostile) {
      for (const thrown of [value, { value, after: { ok: 1 } }, new Error("m", { cause: value })]) {
        const arrived = thrownTrip(thrown, hostileContext);
        if (thrown !== value && !(thrown instanceof Error)) {
          expect((arrived as { after: unknown }).after).toEqual({ ok: 1 });
        }
      }
    }
  });

  test("errors of the runtime keep their code", async () => {
    const missing = await import("./no-such-module.ts" as string).catch((error: unknown) => error);
    const arrived = thrownTrip(missing) as Error & { code: string };
    expect(arrived).toBeInstanceOf(Error);
    expect(arrived.message).toContain("no-such-module");
    expect(arrived.code).toBe("ERR_MODULE_NOT_FOUND");
    const absent = await Bun.file("/nowhere/at/all")
      .text()
      .catch((error: unknown) => error);
    expect(thrownTrip(absent)).toMatchObject({ code: "ENOENT", path: "/nowhere/at/all" });
  });

  test("an error that came through two processes names both, the nearer first", () => {
    const once = thrownTrip(new Error("m"));
    const encoded = received(encodeThrown(once, new Known()));
    const stack = (decodeThrown(encoded, new Known(), () => "worker 0") as Error).stack!;
    expect(stack.indexOf("worker 0")).toBeGreaterThan(0);
    expect(stack.indexOf("worker 2")).toBeGreaterThan(stack.indexOf("worker 0"));
  });
});
