import { describe, expect, test } from "bun:test";
import { decodeValue, encodeValue, OUT_OF_BAND_BYTES } from "../../src/codec/value.ts";
import { difference } from "./same.ts";
import { Known, received, refusal, roundTrip } from "./trip.ts";

const context = new Known();

describe("shared memory", () => {
  test("views on one ArrayBuffer keep sharing it", () => {
    const buffer = new ArrayBuffer(100);
    const [bytes, doubles] = roundTrip([
      new Uint8Array(buffer, 9, 20),
      new Float64Array(buffer, 16, 2),
    ]);
    expect(bytes!.buffer).toBe(doubles!.buffer);
    doubles![0] = 1;
    expect(bytes![16 - 9 + 7]).toBe(0x3f);
  });

  test("a view alone brings its window only", () => {
    const large = new Uint8Array(1 << 20).fill(7);
    const arrived = roundTrip(large.subarray(100, 110));
    expect(arrived).toEqual(new Uint8Array(10).fill(7));
    expect(arrived.byteOffset).toBe(0);
    expect(arrived.buffer.byteLength).toBe(10);
    const encoded = encodeValue(large.subarray(3, 300_003), "args", context);
    expect(encoded.buffers.map((buffer) => buffer.length)).toEqual([300_000]);
    expect(encoded.body.length).toBeLessThan(40);
  });

  test("the ArrayBuffer itself brings all of it, and its views keep their offsets", () => {
    const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).buffer;
    const value = { view: new Uint8Array(buffer, 4, 2), buffer, data: new DataView(buffer, 3) };
    const arrived = roundTrip(value);
    expect(difference(arrived, value)).toBeNull();
    expect(arrived.view.buffer).toBe(arrived.buffer);
    expect(arrived.view.byteOffset).toBe(4);
  });

  test("an empty view beside another, and on an empty buffer", () => {
    const buffer = new ArrayBuffer(64);
    const arrived = roundTrip([new Float64Array(buffer, 64), new Uint8Array(buffer, 3, 1)]);
    expect(arrived.map((view) => view.length)).toEqual([0, 1]);
    expect(arrived[0]!.buffer).toBe(arrived[1]!.buffer);
    expect(roundTrip(new Uint8Array(0))).toEqual(new Uint8Array(0));
  });

  test("the same view twice is one view", () => {
    const view = new Uint8Array(5);
    const [first, second] = roundTrip([view, view]);
    expect(first).toBe(second!);
  });

  test("views of a resizable buffer, with it and without", () => {
    const buffer = new ArrayBuffer(16, { maxByteLength: 64 });
    const view = new Uint8Array(buffer, 8, 4).fill(3);
    expect(roundTrip(view)).toEqual(new Uint8Array(4).fill(3));
    const [both, whole] = roundTrip([view, buffer] as const);
    expect(whole.resizable).toBe(true);
    expect(whole.maxByteLength).toBe(64);
    expect(both.buffer).toBe(whole);
  });
});

describe("beside the body", () => {
  for (const [length, beside] of [
    [OUT_OF_BAND_BYTES - 1, 0],
    [OUT_OF_BAND_BYTES, 1],
    [OUT_OF_BAND_BYTES + 1, 1],
  ] as const) {
    test(`${length} bytes make ${beside} buffers`, () => {
      const view = new Uint8Array(length).map((_, i) => i);
      const encoded = encodeValue([view], "args", context);
      expect(encoded.buffers.length).toBe(beside);
      if (beside > 0) expect(encoded.buffers[0]!.buffer).toBe(view.buffer);
      expect(roundTrip(view)).toEqual(view);
      expect(roundTrip("é".repeat(length / 2))).toBe("é".repeat(length / 2));
    });
  }

  test("what arrived becomes the memory, without a copy", () => {
    const encoded = received(encodeValue([new Float64Array(10_000)], "args", context));
    const [array] = decodeValue(encoded, context) as [Float64Array];
    expect(array.buffer).toBe(encoded.buffers[0]!.buffer as ArrayBuffer);
  });

  test("nothing that arrived lies in the body", () => {
    const arrived = received(encodeValue([new Uint8Array(100).fill(1), "text"], "args", context));
    const [array] = decodeValue(arrived, context) as [Uint8Array];
    expect(array.buffer).not.toBe(arrived.body.buffer as ArrayBuffer);
    arrived.body.fill(0);
    expect(array).toEqual(new Uint8Array(100).fill(1));
  });
});

describe("memory that cannot travel", () => {
  test("a detached ArrayBuffer and its views", () => {
    const buffer = new ArrayBuffer(8);
    const view = new Uint8Array(buffer);
    buffer.transfer();
    expect(refusal(buffer)).toContain("Cannot send args[0]: a detached ArrayBuffer cannot travel");
    expect(refusal({ view })).toContain(
      "Cannot send args[0].view: a view of a detached ArrayBuffer",
    );
  });

  test("a SharedArrayBuffer and its views", () => {
    const buffer = new SharedArrayBuffer(8);
    expect(refusal(buffer)).toContain(
      "a SharedArrayBuffer cannot travel to another process; pass a copy",
    );
    expect(refusal(new Uint8Array(buffer))).toContain(
      "a view of a SharedArrayBuffer cannot travel",
    );
  });
});
