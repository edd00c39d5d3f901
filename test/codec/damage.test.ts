import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeThrown } from "../../src/codec/thrown.ts";
import { decodeValue, encodeValue, type Encoded } from "../../src/codec/value.ts";
import { BsyncError, ValueError } from "../../src/errors.ts";
import { Known, received } from "./trip.ts";

const context = new Known([Math.abs]);

/** Decodes; all that may come of it is a value or one of bsync's errors. */
function survives(encoded: Encoded): void {
  for (const decode of [decodeValue, decodeThrown]) {
    try {
      decode(encoded, context, () => "here");
    } catch (error) {
      if (!(error instanceof BsyncError)) throw error;
    }
  }
}

const samples: Encoded[] = [
  [1, 2.5, "text", -0, null, "世界"],
  { a: [1, { b: "c" }], long: "x".repeat(300), numbers: [1e300, -5, 70_000] },
  [new Map<unknown, unknown>([[1, new Set([[]])]]), new Date(), /x/g, 5n, Math.abs, "\ud800"],
  [new Float64Array(9), new ArrayBuffer(8), [, 1], new Error("m", { cause: new TypeError("c") })],
  [new Uint8Array(70_000), "x".repeat(70_000), Array.from({ length: 300 }, (_, i) => i)],
  [Object.create(null), Object(1n), new Blob(["x"]), JSON.parse('{"__proto__": 1}')],
].map((value) => received(encodeValue(value, "result", context)));

const mutation = fc.record({
  sample: fc.nat(samples.length - 1),
  changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
  cut: fc.option(fc.nat(), { freq: 4 }),
  format: fc.option(fc.nat(3), { freq: 8 }),
});

describe("damaged bytes", () => {
  test("mutated messages give a value or an error of bsync's, and leave prototypes alone", () => {
    fc.assert(
      fc.property(mutation, ({ sample, changes, cut, format }) => {
        const { body, buffers, ...rest } = samples[sample]!;
        const mutated = body.slice(0, cut === null ? body.length : cut % (body.length + 1));
        for (const [at, byte] of changes) if (mutated.length) mutated[at % mutated.length] = byte;
        const copies = buffers.map((buffer) => buffer.slice());
        survives({ format: format ?? rest.format, body: mutated, buffers: copies });
      }),
      { numRuns: 5000 },
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["a"]).toBeUndefined();
  });

  test("random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(3), (body, format) => {
        survives({ format, body, buffers: [] });
      }),
      { numRuns: 3000 },
    );
  });

  const hostile: Record<string, [number, string]> = {
    nothing: [1, ""],
    "an array of four thousand million": [1, "9affffffff"],
    "a map of four thousand million": [1, "baffffffff"],
    "a text longer than the message": [1, "7affffffff61"],
    "a big number by its tag": [1, "c249010000000000000000"],
    "a regular expression by its tag": [1, "d81b836652656745787061786167"],
    "a record definition": [1, "d9dfff83184081616101"],
    "a packed table": [1, "d83384818080806161"],
    "bytes in a plain tree": [1, "420102"],
    "a half float": [1, "f93c00"],
    "an endless array": [1, "9f01ff"],
    "two values": [1, "0101"],
    "an unknown node": [2, "83808180" + "80"],
    "a node that is not there": [2, "8380" + "80" + "80"],
    "the number of a node that is not there": [2, "838105" + "818100" + "80"],
    "a negative node": [2, "838121" + "818100" + "80"],
    "an object with a key and no value": [2, "838081820061" + "61" + "80"],
    "a view beyond its memory": [2, "83808185" + "0b010000190100" + "8141" + "00"],
    "a view of an unknown type": [2, "83808185" + "0b18630000" + "01" + "8141" + "00"],
    "a buffer that did not come": [2, "838081820a00" + "8105"],
    "an unknown function": [2, "83820318" + "63" + "8080"],
    "an error of no class": [2, "838081880c186300" + "00606000" + "00" + "80"],
    "an unknown format": [9, "00"],
    "scalars that end early": [0, "0204"],
    "too many scalars": [0, "fe"],
  };
  for (const [name, [format, hex]] of Object.entries(hostile)) {
    test(`${name}: an error of bsync's`, () => {
      const encoded = { format, body: new Uint8Array(Buffer.from(hex, "hex")), buffers: [] };
      expect(() => decodeValue(encoded, context)).toThrow(BsyncError);
    });
  }

  test("a million arrays, one in the other", () => {
    const body = new Uint8Array(1_000_001).fill(0x81);
    body[1_000_000] = 0;
    expect(() => decodeValue({ format: 1, body, buffers: [] }, context)).toThrow(ValueError);
    expect(
      decodeValue({ format: 1, body: new Uint8Array([0x81, 5]), buffers: [] }, context),
    ).toEqual([5]);
  });

  test("a key named __proto__ in a plain tree sets no prototype", () => {
    const body = new Uint8Array(Buffer.from("a1695f5f70726f746f5f5fa1616101", "hex"));
    const value = decodeValue({ format: 1, body, buffers: [] }, context) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});
