import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { FunctionError } from "../../src/errors.ts";
import { findExport, nameAmong } from "../../src/function/exports.ts";
import type { FunctionRecord } from "../../src/function/record.ts";
import { recordOf } from "../../src/function/reference.ts";
import { FarEnd } from "./far-end.ts";
import * as kinds from "./fixtures/kinds.ts";
import { recordOfScaled } from "./fixtures/script.ts";
import { sendInline, sendInlineOfMany, sendLocal } from "./fixtures/tail.ts";
import * as twinA from "./fixtures/twin-a.ts";
import * as twinB from "./fixtures/twin-b.ts";
import { recordOfView } from "./fixtures/view.tsx";

const fixture = (name: string) => join(import.meta.dir, "fixtures", name);
const KINDS = fixture("kinds.ts");

type AnyFunction = (...args: never[]) => unknown;

const farEnd = new FarEnd(import.meta.path);
afterAll(() => farEnd[Symbol.asyncDispose]());

/** What a worker gets when it calls the function that a reference leads to there. */
function calledThere({ reference }: FunctionRecord, ...args: unknown[]): Promise<unknown> {
  return farEnd.ask({ do: "call", reference, args });
}

function home({ reference }: FunctionRecord): string | undefined {
  if (reference.kind === "source") return reference.modules[0];
  return reference.kind === "export" ? reference.module : undefined;
}

function refusalOf(fn: unknown): string {
  try {
    recordOf(fn as AnyFunction);
  } catch (error) {
    if (error instanceof FunctionError && error.code === "BSYNC_FUNCTION") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a function that its module exports goes by module and name", () => {
  const cases: readonly (readonly [string, AnyFunction, number])[] = [
    ["exported", kinds.exported, 11],
    ["arrow", kinds.arrow, 12],
    ["asynchronous", kinds.asynchronous, 13],
    ["generator", kinds.generator, 14],
    ["default", kinds.default, 15],
    ["underAnotherName", kinds.underAnotherName, 16],
    ["größe", kinds.größe, 17],
  ];
  test.each(cases)("%s", async (name, fn, expected) => {
    const record = recordOf(fn);
    expect(record.reference).toEqual({ kind: "export", module: KINDS, name });
    expect(record.label).toBe(fn.name);
    expect(await calledThere(record, 10)).toBe(expected);
  });

  test("the same function has one record", () => {
    expect(recordOf(kinds.exported)).toBe(recordOf(kinds.exported));
    expect(recordOf(kinds.exported).id).not.toBe(recordOf(kinds.arrow).id);
  });

  test("it is found by its value, and its value by its name", () => {
    expect(findExport(kinds.Machine)).toEqual({ module: KINDS, name: "Machine" });
    expect(nameAmong(kinds, kinds.Machine)).toBe("Machine");
    expect(findExport(() => 1)).toBeUndefined();
    expect(nameAmong(kinds, () => 1)).toBeUndefined();
    expect(nameAmong(undefined, kinds.Machine)).toBeUndefined();
  });
});

describe("a function that is not exported goes by its text, and finds its module's names", () => {
  const { unexported } = kinds;
  const cases: readonly (readonly [keyof typeof unexported, number])[] = [
    ["hidden", 110],
    ["hiddenAsync", 111],
    ["hiddenArrow", 112],
    ["hiddenGenerator", 113],
    ["hiddenStream", 114],
    ["naïveΔ", 115],
    ["plain", 116],
    ["later", 117],
    ["many", 118],
    ["computed", 119],
    ["quoted", 120],
    ["get", 121],
  ];
  test.each(cases)("%s", async (key, expected) => {
    const fn = unexported[key] as AnyFunction;
    const record = recordOf(fn);
    expect(record.reference).toMatchObject({ kind: "source", name: fn.name, text: String(fn) });
    // This file calls; that the text stands in another one decides.
    expect(home(record)).toBe(KINDS);
    expect(await calledThere(record, 10)).toBe(expected);
  });

  test("an inline function: its line is that of the call", async () => {
    const record = kinds.recordOfInline();
    expect(record.reference).toMatchObject({ kind: "source", name: "" });
    expect(home(record)).toBe(KINDS);
    // Not as a text: a module in sight that held it would be taken for the function's own.
    expect(record.label).toMatch(/^\(x\) => base \+ x \+ 1.$/);
    expect(await calledThere(record, 10)).toBe(122);
  });

  test("a new one at each turn of a loop is one record", () => {
    const records = new Set<FunctionRecord>();
    for (let i = 0; i < 10; i++) records.add(recordOf((x: number) => x * 2));
    expect(records.size).toBe(1);
  });
});

describe("where the caller's frame is gone", () => {
  test("a function of the top level is sought in the module that has its text", async () => {
    const record = sendLocal();
    expect(home(record)).toBe(fixture("tail.ts"));
    expect(await calledThere(record, 5)).toBe("tail 5 of the tail module");
  });

  test("so is an inline one", async () => {
    const record = sendInline();
    expect(home(record)).toBe(fixture("tail.ts"));
    expect(await calledThere(record, 5)).toBe("tail 5 inline in the tail module");
  });

  test("so is one behind any number of tail calls", async () => {
    const record = sendInlineOfMany(100_000) as FunctionRecord;
    expect(home(record)).toBe(fixture("tail.ts"));
    expect(await calledThere(record)).toBe("tail, after many tail calls");
  });

  test("a text that stands in two modules is refused, and not guessed", () => {
    for (const { sendTwin } of [twinA, twinB]) {
      let message = "";
      try {
        sendTwin();
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toStartWith("Cannot tell which module the function");
      expect(message).toContain(fixture("twin-a.ts"));
      expect(message).toContain(fixture("twin-b.ts"));
    }
  });
});

test("the same text in two modules is two functions, each with its own names", async () => {
  const [{ record: a }, { record: b }] = [twinA.recordOfTwin(), twinB.recordOfTwin()];
  expect(a).not.toBe(b);
  expect([home(a), home(b)]).toEqual([fixture("twin-a.ts"), fixture("twin-b.ts")]);
  expect([await calledThere(a), await calledThere(b)]).toEqual(["twin a", "twin b"]);
});

test("a module that begins with #!", async () => {
  const { record } = recordOfScaled();
  expect(home(record)).toBe(fixture("script.ts"));
  expect(await calledThere(record, 7)).toBe(21);
});

test("a module of TSX", async () => {
  const { record } = recordOfView();
  expect(home(record)).toBe(fixture("view.tsx"));
  expect(await calledThere(record, "bold")).toEqual({ type: "b", children: ["bold", "bold"] });
});

test("a registered function goes by its name, whatever it is", async () => {
  const record = recordOf(kinds.registered);
  expect(record).toMatchObject({
    label: "registered among the kinds",
    reference: { kind: "task", name: "registered among the kinds" },
  });
  expect(await calledThere(record)).toBe(41);
});

describe("a text", () => {
  test.each(["Math.hypot", "(a, b) => a + b", "function f() { return 1 }", "async () => {}"])(
    "%s stands for what it yields on the worker",
    (text) => {
      const record = recordOf(text);
      expect(record).toMatchObject({ label: text, reference: { kind: "text", text } });
      expect(recordOf(text)).toBe(record);
    },
  );

  test.each(["", "  \n", "1 +", "a; b", ")(", "x => {", "const x = 1", "]) + ["])(
    "%p does not parse as an expression",
    (text) => {
      expect(refusalOf(text)).toMatch(/^Cannot call ".*": it does not parse \(.+\)$/s);
    },
  );

  test("a long one is cut short in messages, and nowhere else", () => {
    const text = `(x) => ${Array(100).fill("x").join(" +\n ")}`;
    const record = recordOf(text);
    expect(record.label.length).toBe(60);
    expect(record.label).toEndWith("...");
    expect(record.reference).toEqual({ kind: "text", text });
  });
});

describe("what cannot travel is refused", () => {
  const machine = new kinds.Machine();
  const cases: readonly (readonly [string, unknown, string])[] = [
    [
      "a bound function",
      kinds.bound,
      'Cannot send "bound exactlyThis" to a worker: it is bound to values of this process; ' +
        "pass a plain function, and those values as arguments",
    ],
    [
      "a native one",
      Math.hypot,
      'Cannot send "hypot" to a worker: it is native; call it by a text, as in ' +
        'pool.async("Math.hypot", 3, 4), or from a function of your own',
    ],
    [
      "a class",
      kinds.Machine,
      'Cannot call the class "Machine" on a worker: pass a function that makes and uses an instance',
    ],
    ["a class without a name", (() => class {})(), 'Cannot call the class "class {\n  }'],
    [
      "a method that needs this",
      machine.work,
      'Cannot send the method "work" to a worker: it needs `this`; ' +
        "pass a function that takes the object as an argument",
    ],
    [
      "an arrow of a class, with its this",
      machine.arrow,
      'Cannot send "arrow" to a worker: it uses `this` of the place where it was written; ' +
        "pass what it needs as an argument",
    ],
    ["a number", 5, "Cannot call 5: expected a function, or a text that yields one"],
    ["nothing", undefined, "Cannot call undefined: expected a function, or a text that yields one"],
    ["an object", {}, "Cannot call {}: expected a function, or a text that yields one"],
  ];
  test.each(cases)("%s", (_, fn, message) => {
    expect(refusalOf(fn)).toStartWith(message.split("\n")[0]!);
  });

  test("but a method that needs no this may go, and an arrow around a this of its own", async () => {
    expect(await calledThere(recordOf(machine.pure), 8)).toBe(8);
    expect(await calledThere(recordOf(machine.nested), 9)).toBe(9);
  });

  test("the word in a string, a comment or a template is no this", async () => {
    const harmless = {
      method(x: number): string {
        // Not this, nor super.
        return `this` + x + "super" + "this";
      },
    };
    expect(await calledThere(recordOf(harmless.method), 1)).toBe("this1superthis");
  });
});
