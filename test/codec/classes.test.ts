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

function thrownTrip<T>(thrown: T, context = loaded): T {
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
