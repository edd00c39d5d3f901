import { describe, expect, test } from "bun:test";
import assert from "node:assert";
import { runInNewContext } from "node:vm";
import { decodeThrown, encodeThrown } from "../../src/codec/thrown.ts";
import { type ClassReference, decodeValue, encodeValue } from "../../src/codec/value.ts";
import { ValueError } from "../../src/errors.ts";
import { exportedClass, exportersOf } from "../../src/function/classes.ts";
import * as paints from "./fixtures/paints.ts";
import { Known, received, roundTrip } from "./trip.ts";

/** Finds classes as processes do. */
class Loaded extends Known {
  override classOf(maker: Function | null, prototype: object): readonly ClassReference[] {
    return exportersOf(maker, prototype);
  }

  override classFor(reference: ClassReference): Function | null {
    const found = exportedClass(reference);
    return typeof found === "function" ? found : null;
  }
}

const loaded = new Loaded();

function thrownTrip<T>(thrown: T, context: Known = loaded): T {
  return decodeThrown(received(encodeThrown(thrown, context)), context, () => "there") as T;
}

async function caught(deed: () => unknown): Promise<Error & Record<string, unknown>> {
  try {
    await deed();
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error("it did not throw");
}

/** Errors of the runtime's, which keep what they tell in many places. */
const ofTheRuntime: Record<string, () => unknown> = {
  "of wrong arguments": () => Buffer.alloc("x" as never),
  "of a range": () => Buffer.alloc(-1),
  "of a decoder": () => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255])),
  "of an assertion": () => assert.equal(1, 2),
  "of WebAssembly": () => new WebAssembly.Module(new Uint8Array([1])),
  "of the shell": () => Bun.$`exit 3`.quiet(),
  "of a file": () => Bun.file("/nowhere/at/all").text(),
  "of a module that is missing": () => import("./no-such-module.ts" as string),
  "of a text that does not parse": () => new Bun.Transpiler().transformSync("const = ;"),
  "of an address": () => new URL("::"),
  "of a clone": () => structuredClone(() => {}),
  "of an abort": () => AbortSignal.abort().throwIfAborted(),
  "of the system": () => process.setuid!("no such user"),
  "of a command": () => Bun.spawnSync(["/no/such/command"]),
};

describe("errors of the runtime", () => {
  for (const [name, deed] of Object.entries(ofTheRuntime)) {
    test(`one ${name} keeps class, code, and all it tells`, async () => {
      const there = await caught(deed);
      for (const here of [thrownTrip(there), thrownTrip(thrownTrip(there))]) {
        expect(here.constructor).toBe(there.constructor);
        const keys = "name message code errno syscall path actual position level specifier";
        for (const key of `${keys} exitCode requireStack`.split(" ")) {
          expect(here[key]).toEqual(there[key]);
        }
        expect([String(here), `${here as never}`]).toEqual([String(there), `${there as never}`]);
        expect(JSON.stringify(here)).toBeString();
        expect(Bun.inspect(here)).toBeString();
      }
    });
  }
});

describe("classes of the program", () => {
  test("are found by whatever name their modules export them", () => {
    for (const error of paints.everyWay()) {
      expect(thrownTrip(error).constructor).toBe(error.constructor);
    }
  });

  test("are found through their prototype, where that names no class, or another", () => {
    const old = thrownTrip(paints.makeOld());
    expect(old).toBeInstanceOf(paints.Old);
    expect(old.message).toBe("old");
  });

  test("are found one level up, where the error's own is not exported", () => {
    const error = thrownTrip(paints.makeSecret());
    expect(error).toBeInstanceOf(paints.Paint);
    expect(error.constructor.name).toBe("Secret");
    expect(error.name).toBe("Paint");
  });

  test("are known again where they came from, after a way through a process without them", () => {
    const without = Object.assign(new Loaded(), { classFor: () => null });
    const there = thrownTrip(new paints.Paint("red"), without);
    expect(there).not.toBeInstanceOf(paints.Paint);
    expect(there.constructor.name).toBe("Paint");
    expect(thrownTrip(there)).toBeInstanceOf(paints.Paint);
  });

  test("are not constructed, whatever their constructors want", () => {
    const errors = paints.everyWay();
    const before = paints.constructed();
    for (const error of errors) thrownTrip(error);
    expect(paints.constructed()).toBe(before);
  });

  test("of another realm stand on the language's own here", () => {
    const error = runInNewContext(
      "class Far extends RangeError { get code() { return 'E_FAR'; } } new Far('far')",
    ) as RangeError & { code: string };
    const here = thrownTrip(error);
    expect(here).toBeInstanceOf(RangeError);
    expect([here.constructor.name, here.code, here.message]).toEqual(["Far", "E_FAR", "far"]);
  });

  test("that decide themselves what is an instance do so", () => {
    expect(thrownTrip(new paints.Marked())).toBeInstanceOf(paints.Marked);
  });
});

describe("what an error tells", () => {
  test("by getters over private fields, or a WeakMap, is what it told there", () => {
    const error = new paints.Private(7);
    for (const context of [loaded, Object.assign(new Loaded(), { classFor: () => null })]) {
      const here = thrownTrip(error, context);
      expect([here.size, here.weak, here.code]).toEqual([7, 8, "E_7"]);
      expect([here.message, here.name, String(here)]).toEqual(["7!", "Private", "<7>"]);
      expect(here.list).toEqual([7]);
      expect(Object.keys(here)).toEqual([]);
    }
  });

  test("by a getter that works here is not fixed", () => {
    const here = thrownTrip(new paints.Paint("red"));
    expect(here.loud).toBe("RED");
    here.colour = "blue";
    expect(here.loud).toBe("BLUE");
  });

  test("by properties that are not enumerable, or under registered symbols, arrives as it was", () => {
    const error = new Error("m");
    const tag = Symbol.for("bsync.test.tag");
    Object.defineProperties(error, {
      code: { value: "E_HIDDEN" },
      info: { value: { deep: [1] } },
      [tag]: { value: 5, enumerable: true },
      [Symbol.toStringTag]: { value: "Tagged" },
    });
    const here = thrownTrip(error) as Error & Record<PropertyKey, unknown>;
    expect([here["code"], here["info"], here[tag]]).toEqual(["E_HIDDEN", { deep: [1] }, 5]);
    expect(Object.prototype.toString.call(here)).toBe("[object Tagged]");
    expect(Object.keys(here)).toEqual([]);
    expect(Object.getOwnPropertyDescriptor(here, tag)?.enumerable).toBe(true);
  });

  test("out of sight is no reason to refuse it as a value, what it shows is", () => {
    const hidden = Object.defineProperty(new Error("m"), "socket", { value: Promise.resolve() });
    expect(Reflect.get(roundTrip(hidden), "socket")).toContain("a Promise cannot travel");
    const shown = Object.assign(new Error("m"), { socket: Promise.resolve() });
    expect(() => roundTrip(shown)).toThrow(ValueError);
  });

  test("of a frozen error, or one without prototype, arrives", () => {
    const frozen = Object.freeze(Object.assign(new paints.Paint("red"), { code: 1 }));
    expect(thrownTrip(frozen)).toMatchObject({ message: "no red", code: 1 });
    const bare: Error = Object.setPrototypeOf(new TypeError("m"), null);
    expect((thrownTrip(bare) as Error).message).toBe("m");
  });

  test("of a hundred errors of unknown classes: as many classes, each once", () => {
    const errors = Array.from({ length: 100 }, (_, i) => {
      const maker = { [`E${i % 10}`]: class extends Error {} }[`E${i % 10}`]!;
      return new maker("m");
    });
    const context = new Known();
    const here = decodeValue(received(encodeValue(errors, "result", context)), context) as Error[];
    expect(here.map((error) => error.constructor.name)).toEqual(
      errors.map((error) => error.constructor.name),
    );
    expect(new Set(here.map((error) => error.constructor)).size).toBe(10);
  });
});

describe("stand-ins for classes that are not here", () => {
  const without = Object.assign(new Loaded(), { classFor: () => null });

  type Maker = new (...args: unknown[]) => Error;

  function named(name: unknown, parent: Maker = Error as Maker): Maker {
    return Object.defineProperty(class extends parent {}, "name", { value: name });
  }

  const NAMES = ["MyError", "", "no identifier", "two\nlines", "TypeError", "Object", "__proto__"];
  for (const name of [...NAMES, "constructor", "TimeoutError", "n".repeat(5000)]) {
    test(`have the name ${JSON.stringify(name.slice(0, 20))}, on the nearest known class`, () => {
      for (const base of [Error, TypeError, RangeError, AggregateError, URIError]) {
        const maker = named(name, base as Maker);
        const make = () => (base === AggregateError ? new maker([], "m") : new maker("m"));
        const [here, again] = [thrownTrip(make(), without), thrownTrip(make(), without)];
        expect(here.constructor.name).toBe(name);
        expect(here).toBeInstanceOf(base);
        expect(Object.getPrototypeOf(here.constructor)).toBe(base);
        if (name.length < 1000) expect(again).toBeInstanceOf(here.constructor);
        expect([here.name, here.message]).toEqual([base.name, "m"]);
      }
    });
  }

  test("keep the classes in between, and are shared by the classes on top of them", () => {
    class Base extends RangeError {}
    class Left extends Base {}
    class Right extends Base {}
    const [base, left, right] = [Base, Left, Right].map(
      (maker) => thrownTrip(new maker("m"), without).constructor as Maker,
    );
    const parents = [left, right, base].map((maker) => Object.getPrototypeOf(maker) as unknown);
    expect(parents).toEqual([base, base, RangeError]);
    expect(thrownTrip(new Left("m"), without)).toBeInstanceOf(base!);
    expect(thrownTrip(new Left("m"), without)).not.toBeInstanceOf(right!);
  });

  test("are made where a static property stands in the place of the name, whatever it is", () => {
    for (const name of [42, null, Symbol("s"), () => 1]) {
      const error = Object.assign(new (named(name, TypeError as Maker))("m"), { code: "E" });
      const here = thrownTrip(error, without);
      expect([here.message, here.code, here.name]).toEqual(["m", "E", "TypeError"]);
      expect(here).toBeInstanceOf(TypeError);
      expect(here.constructor).not.toBe(TypeError);
    }
    class Throws extends Error {
      static override get name(): string {
        throw new Error("no name");
      }
    }
    class Getter extends Error {
      static override get name(): string {
        return "Other";
      }
    }
    expect(thrownTrip(new Throws("m"), without).message).toBe("m");
    expect(thrownTrip(new Getter("m"), without).constructor.name).toBe("Other");
  });

  test("are one for each class, though processes tell other places of it", () => {
    class Far extends Error {}
    const from = (...modules: string[]): Function => {
      const classOf = () => modules.map((module) => ({ module, name: "Far" }));
      return thrownTrip(
        new Far("m"),
        Object.assign(new Loaded(), { classOf, classFor: () => null }),
      ).constructor;
    };
    expect(from("/a.ts", "/b.ts")).toBe(from("/b.ts"));
    expect(from("/c.ts")).not.toBe(from("/b.ts"));
    expect(from()).not.toBe(from("/b.ts"));
    expect(from()).toBe(from());
  });

  test("stand in causes, errors and properties as well, and are no matter of freezing", () => {
    class Inner extends TypeError {}
    const make = () => Object.freeze(new Inner("in"));
    const error = new AggregateError([make()], "m", { cause: make() });
    const here = thrownTrip(Object.assign(error, { own: { deep: [make()] } }), without);
    const made = thrownTrip(make(), without).constructor;
    for (const each of [here.cause, here.errors[0], here.own.deep[0]] as Error[]) {
      expect(each.constructor).toBe(made);
    }
  });

  test("are forgotten when a program makes names without end", () => {
    const unknown = new Known();
    const first = thrownTrip(new (named("First"))("m"), unknown).constructor;
    expect(thrownTrip(new (named("First"))("m"), unknown).constructor).toBe(first);
    for (let i = 0; i < 2000; i++) {
      expect(thrownTrip(new (named(`E${i}`))("m"), unknown).constructor.name).toBe(`E${i}`);
    }
    expect(thrownTrip(new (named("First"))("m"), unknown).constructor).not.toBe(first);
  });
});
