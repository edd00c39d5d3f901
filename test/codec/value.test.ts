import { describe, expect, test } from "bun:test";
import { runInNewContext } from "node:vm";
import { Format } from "../../src/codec/types.ts";
import { encodeValue } from "../../src/codec/value.ts";
import { difference } from "./same.ts";
import { Known, roundTrip } from "./trip.ts";

const shared = { shared: true };
const cyclic: Record<string, unknown> = { name: "cyclic" };
cyclic["self"] = cyclic;
const cyclicMap = new Map<unknown, unknown>();
cyclicMap.set(cyclicMap, new Set([cyclicMap]));
const withExtras = Object.assign([1, 2, 3], { "01": "no index", extra: shared, also: shared });

const kinds: Record<string, unknown> = {
  "minus zero": -0,
  "minus zero inside": [{ zero: -0 }, 0],
  "NaN and infinities": [NaN, Infinity, -Infinity],
  "numbers around every limit": [
    -65,
    -64,
    127,
    128,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
    2 ** 32,
    -(2 ** 32),
    -(2 ** 32) - 1,
    2 ** 53,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
    0.1,
    -0.1,
    5e-324,
  ],
  "numbers around every limit, inside": {
    all: [23, 24, 255, 256, 65535, 65536, -24, -25, -256, -257, -65536, -65537, 2 ** 32 - 1],
  },
  undefined: undefined,
  "undefined inside": { there: undefined, list: [undefined, null] },
  null: null,
  booleans: [true, false],
  "the empty string": ["", { "": "" }],
  "strings of every width": [
    "a",
    "é",
    "ÿ",
    "Ā",
    "世界",
    "🚀",
    "\0",
    "a".repeat(200),
    "é".repeat(201),
  ],
  "strings that begin with U+FEFF": [
    "\uFEFF" + "x".repeat(100),
    { ["\uFEFF" + "k".repeat(99)]: 1 },
  ],
  "lone surrogates": ["\ud800", "x\udfffy", { "\ud800": "\udc00\ud800" }],
  "a long lone surrogate": "x".repeat(70_000) + "\ud800",
  "long strings": ["x".repeat(65_535), "x".repeat(65_536), "é世🚀".repeat(30_000)],
  BigInts: [0n, 1n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, 10n ** 400n, -(10n ** 400n)],
  dates: [new Date(0), new Date(-1), new Date(8.64e15), new Date(1.7e12 + 0.5)],
  "an invalid date": new Date(NaN),
  "regular expressions": [/a\/b/giu, /(?:)/, /[\u{1F680}]/v, new RegExp("\ud800")],
  maps: new Map<unknown, unknown>([
    [1, "one"],
    ["1", "text"],
    [NaN, -0],
    [shared, shared],
  ]),
  sets: new Set<unknown>([1, "1", NaN, undefined, shared, new Set()]),
  "a map that holds itself": cyclicMap,
  "a cycle": cyclic,
  "shared references": [shared, { again: shared }, shared],
  "a shared empty array": ((empty: unknown[]) => [empty, empty])([]),
  "boxed primitives": [Object(1), Object(-0), Object("text"), Object(true), Object(10n)],
  "sparse arrays": [[, 1], [1, , 2], [, ,], new Array(5), Object.assign([], { 4_000_000_000: 1 })],
  "the longest array": Object.assign([], { length: 2 ** 32 - 1 }),
  "an array's extra properties": withExtras,
  "a match": /(?<word>b)(c)?/.exec("abd"),
  "as many holes as extra properties": Object.assign([1, , 3], { extra: 1 }),
  "own __proto__ keys": JSON.parse('{"__proto__": {"a": 1}, "b": {"__proto__": 2}}'),
  "own keys with other meanings": { constructor: 1, hasOwnProperty: 2, toString: 3, length: 4 },
  "own toJSON": { toJSON: 5, then: 1 },
  "integer-like keys": { b: 1, 10: "ten", 9: "nine", a: 2, "-1": 0, "01": 1, 4294967295: 1 },
  "null-prototype objects": Object.assign(Object.create(null), { a: 1, __proto__: 3 }),
  "nested null-prototype objects": { groups: Object.assign(Object.create(null), { word: "b" }) },
  "an empty ArrayBuffer": new ArrayBuffer(0),
  "an ArrayBuffer": new Uint8Array([1, 2, 3]).buffer,
  "a resizable ArrayBuffer": new ArrayBuffer(10, { maxByteLength: 100 }),
  "a long resizable ArrayBuffer": new ArrayBuffer(70_000, { maxByteLength: 80_000 }),
  "typed arrays of every type": [
    new Int8Array([-1, 2]),
    new Uint8Array([255]),
    new Uint8ClampedArray([255]),
    new Int16Array([-300]),
    new Uint16Array([65535]),
    new Int32Array([-(2 ** 31)]),
    new Uint32Array([2 ** 32 - 1]),
    new Float16Array([1.5, -0]),
    new Float32Array([0.1, NaN]),
    new Float64Array([0.1, -0, NaN]),
    new BigInt64Array([-1n]),
    new BigUint64Array([2n ** 64n - 1n]),
    new DataView(new ArrayBuffer(5)),
    new Float64Array(0),
  ],
  "a Buffer, which stays one": Buffer.from("hello"),
  "many numbers": Array.from({ length: 300 }, (_, i) => i - 150),
  "many doubles": Array.from({ length: 300 }, (_, i) => i / 7),
  "many numbers with a minus zero": Array.from({ length: 300 }, (_, i) => (i === 299 ? -0 : i)),
  "many numbers and one text": Array.from({ length: 300 }, (_, i) => (i === 299 ? "end" : i)),
  "many numbers with a hole": Object.assign(
    Array.from({ length: 300 }, (_, i) => i),
    { length: 301 },
  ),
  "many texts": Array.from({ length: 300 }, (_, i) => `${i}`),
  "a tree of 65 levels": Array.from({ length: 65 }).reduce((inner) => ({ inner }), 1),
};

describe("values of every kind", () => {
  for (const [name, value] of Object.entries(kinds)) {
    test(`${name} arrives as it was`, () => {
      expect(difference(roundTrip(value), value)).toBeNull();
      expect(difference(roundTrip([value, value], new Known(), "args"), [value, value])).toBeNull();
      expect(difference(roundTrip({ inside: [value] }), { inside: [value] })).toBeNull();
    });
  }

  test("invalid and valid Blobs and Files arrive with their bytes", async () => {
    const file = roundTrip(new File(["text"], "name.txt", { type: "text/x", lastModified: 5 }));
    expect(file).toBeInstanceOf(File);
    expect([file.name, file.type, file.lastModified]).toEqual(["name.txt", "text/x", 5]);
    expect(await file.text()).toBe("text");
    const blob = roundTrip(new Blob(["x".repeat(100_000)]));
    expect(await blob.text()).toBe("x".repeat(100_000));
  });

  test("Float16Array keeps its class", () => {
    expect(roundTrip(new Float16Array([1.5]))).toBeInstanceOf(Float16Array);
  });
});

describe("objects", () => {
  test("class instances arrive as plain objects of their own enumerable properties", () => {
    class Point {
      #hidden = 1;
      static count = 0;
      constructor(readonly x: number) {}
      get hidden(): number {
        return this.#hidden;
      }
    }
    const value = [new Point(1), { at: new Point(2) }];
    expect(difference(roundTrip(value), structuredClone(value))).toBeNull();
  });

  test("classes of Map, Set, Array and Date arrive as what they extend", () => {
    class MyMap extends Map<string, number> {}
    class MyArray extends Array<number> {}
    class MyDate extends Date {}
    const value = [
      new MyMap([["a", 1]]),
      MyArray.of(1, 2),
      new MyDate(5),
      new (class extends Set {})(),
    ];
    expect(difference(roundTrip(value), structuredClone(value))).toBeNull();
  });

  test("symbol keys and properties that are not enumerable stay behind", () => {
    const value = Object.defineProperty({ [Symbol("s")]: 1, a: 1 }, "b", { value: 2 });
    expect(difference(roundTrip(value), { a: 1 })).toBeNull();
    expect(difference(roundTrip([value, value]), structuredClone([value, value]))).toBeNull();
  });

  test("getters run once each, in order, whatever the format", () => {
    const ran: string[] = [];
    const make = (tail: unknown): object => ({
      get first() {
        ran.push("first");
        return { a: 1 };
      },
      get second() {
        ran.push("second");
        return tail;
      },
    });
    expect(roundTrip(make(1))).toEqual({ first: { a: 1 }, second: 1 });
    expect(ran.splice(0)).toEqual(["first", "second"]);
    // The map comes late: the scan for a plain tree has read half of it by then.
    expect(roundTrip([make(new Map())])).toEqual([{ first: { a: 1 }, second: new Map() }]);
    expect(ran).toEqual(["first", "second"]);
  });

  test("what the scan for a plain tree had copied keeps its identity in the graph", () => {
    const inner = { a: [1] };
    const value = { x: inner, y: { again: inner.a }, z: [inner, -0] };
    expect(difference(roundTrip(value), value)).toBeNull();
  });

  test("a proxy that behaves arrives as what it shows", () => {
    expect(roundTrip(new Proxy({ a: 1 }, {}))).toEqual({ a: 1 });
    expect(roundTrip([new Proxy([1, 2], {})])).toEqual([[1, 2]]);
  });

  test("objects and arrays of another realm arrive as of this one", () => {
    const value = runInNewContext("[{ a: [1] }, new Map([[1, 2]])]") as unknown;
    expect(difference(roundTrip(value), [{ a: [1] }, new Map([[1, 2]])])).toBeNull();
  });

  test("a function goes through the context, and is one wherever it stands", () => {
    const add = (a: number, b: number): number => a + b;
    const context = new Known([Math.abs, add]);
    const [first, second] = roundTrip([add, { f: add }] as const, context);
    expect(first).toBe(add);
    expect(second.f).toBe(add);
  });
});

describe("size", () => {
  test("a list of 100 000 links needs no stack", () => {
    let list: { next: unknown; value: number } | null = null;
    for (let value = 0; value < 100_000; value++) list = { next: list, value };
    let count = 0;
    for (let at = roundTrip(list); at !== null; at = at.next as typeof list) count++;
    expect(count).toBe(100_000);
  });

  test("arrays and maps nested 100 000 deep need no stack", () => {
    let value: unknown = 0;
    for (let i = 0; i < 50_000; i++) value = i % 2 ? [value] : new Map([[value, i]]);
    expect(difference(roundTrip(value), value)).toBeNull();
  });

  test("arrays of a million elements arrive as they were", () => {
    const numbers = Array.from({ length: 1e6 }, (_, i) => i / 3);
    const texts = Array.from({ length: 1e6 }, (_, i) => `t${i % 1000}`);
    const holed = Array.from({ length: 1e6 }, (_, i) => i);
    delete holed[5];
    const extra = Object.assign(
      Array.from({ length: 1e5 }, (_, i) => i),
      { extra: 1 },
    );
    for (const array of [numbers, texts, holed, extra]) {
      const arrived = roundTrip(array);
      expect(arrived.length).toBe(array.length);
      let different = 0;
      for (let i = 0; i < array.length; i++) if (arrived[i] !== array[i]) different++;
      expect(different).toBe(0);
    }
    expect(5 in roundTrip(holed)).toBe(false);
    expect((roundTrip(extra) as unknown as { extra: number }).extra).toBe(1);
  });

  test("a message longer than the encoder keeps room for is followed by others", () => {
    const large = Array.from({ length: 300_000 }, (_, i) => ({ text: `number ${i} é` }));
    expect(difference(roundTrip(large), large)).toBeNull();
    const next = { long: "é".repeat(5000), short: "ok" };
    expect(roundTrip(next)).toEqual(next);
  });
});

describe("formats", () => {
  const format = (value: unknown): number => encodeValue(value, "args", new Known()).format;

  test("the cheapest that carries the value is taken", () => {
    expect(format([1, 2.5, "three", true, null, undefined, -0, "\ud800"])).toBe(Format.Scalars);
    expect(format(["x".repeat(1000)])).toBe(Format.Plain);
    expect(format([{ a: [1, { b: "c" }] }])).toBe(Format.Plain);
    expect(format([{ a: -0 }])).toBe(Format.Graph);
    expect(format([shared, shared])).toBe(Format.Graph);
  });

  test("nothing is kept from one message to the next", () => {
    const value = [{ a: 1, b: [{ c: "d" }] }];
    const first = encodeValue(value, "args", new Known()).body.slice();
    encodeValue([{ other: { keys: [{}] } }], "args", new Known());
    expect(encodeValue(value, "args", new Known()).body).toEqual(first);
  });

  test("the native addon of cbor-x is not loaded, and no code is generated", async () => {
    const program = `
      import { decodeValue, encodeValue } from ${JSON.stringify(
        new URL("../../src/codec/value.ts", import.meta.url).pathname,
      )};
      let made = 0;
      globalThis.Function = new Proxy(Function, { construct() { made++; throw new Error("no") } });
      for (let i = 0; i < 100; i++) {
        const { format, body, buffers } = encodeValue([{ a: i, b: [{ c: 1 }] }, new Map([[1, -0]])], "args", {});
        decodeValue({ format, body: body.slice(), buffers }, {});
      }
      const native = Object.keys(require.cache).filter((path) => path.endsWith(".node"));
      console.log(JSON.stringify([made, native]));
    `;
    await using proc = Bun.spawn(
      [process.execPath, "--disallow-code-generation-from-strings", "-e", program],
      { stdout: "pipe", stderr: "pipe" },
    );
    expect(await proc.stderr.text()).toBe("");
    expect(await proc.stdout.text()).toBe("[0,[]]\n");
  });
});
