import { expect, test } from "bun:test";
import { shortArguments } from "../../src/codec/short.ts";

/** Arguments, and how they are shown. */
const shown: readonly (readonly [unknown[], string])[] = [
  [[], ""],
  [[1, -0, NaN, 2.5, 10n, true, null, undefined], "1, -0, NaN, 2.5, 10n, true, null, undefined"],
  [["text"], '"text"'],
  [['a "quoted"\nline\u001b[31m\ud800'], '"a \\"quoted\\"\\nline\\u001b[31m\ufffd"'],
  [["\u2028\u2029\u202e\u009b\u007f"], '"\\u2028\\u2029\\u202e\\u009b\\u007f"'],
  [["/data/a-long-path/of-some-kind/image.png"], '"/data/a-long-pat…e-kind/image.png"'],
  [[[1, 2, 3, 4, 5, 6]], "[1, 2, 3, 4, … 2 more]"],
  [[[[[1]]], { a: { b: { c: 1 } } }], "[[Array(1)]], { a: { b: {…} } }"],
  [[{ a: 1, "odd key": [] }, {}], '{ a: 1, "odd key": [] }, {}'],
  [[new Float64Array(1000), new DataView(new ArrayBuffer(8))], "Float64Array(1000), DataView(8)"],
  [[new Map([[1, 2]]), new Set()], "Map(1), Set(0)"],
  [[new Date(0), new Date(NaN), /a\/b/g], "1970-01-01T00:00:00.000Z, Date(NaN), /a\\/b/g"],
  [[new RangeError("no"), function named() {}], 'RangeError: "no", named'],
  [[Object.assign(new Error("a\nb"), { name: "Odd\n\u202eName" })], 'Odd Name: "a\\nb"'],
  [[Buffer.from("abc"), new Uint8Array(2)], "Buffer(3), Uint8Array(2)"],
];

for (const [args, text] of shown) {
  test(`${text || "nothing"}`, () => expect(shortArguments(args)).toBe(text));
}

test("many arguments are cut, and counted", () => {
  const text = shortArguments(Array.from({ length: 200 }, (_, i) => `number ${i}`));
  expect(text).toStartWith('"number 0", "number 1", ');
  expect(text).toMatch(/, … \d+ more$/);
  expect(text.length).toBeLessThan(150);
});
