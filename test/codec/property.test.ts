import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { difference } from "./same.ts";
import { Known, roundTrip } from "./trip.ts";

const scalar = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.string({ unit: "binary" }),
  fc.string({ maxLength: 3 }),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(undefined, null, -0, NaN, "\ud800", "__proto__"),
);
const key = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.constantFrom("__proto__", "constructor", "length", "10", "9", "\udc00", "toJSON"),
);
const bytes = fc.uint8Array({ maxLength: 20 });

/** Values without identity of their own; `tangled` adds that. */
const { tree } = fc.letrec<{ tree: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    { weight: 8, arbitrary: scalar },
    fc.date({ noInvalidDate: false }),
    bytes,
    bytes.map((view) => view.buffer),
    bytes.map((view) => new DataView(view.buffer)),
    fc.float32Array({ maxLength: 5 }),
    fc.bigInt64Array({ maxLength: 5 }),
    fc.double().map((value) => Object(value) as unknown),
    fc.constantFrom("a/b", "", "\ud800").map((source) => new RegExp(source, "g")),
  ),
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("tree"), { maxLength: 5 }),
    fc.sparseArray(tie("tree"), { maxLength: 8 }),
    fc.array(fc.tuple(key, tie("tree")), { maxLength: 4 }).map(Object.fromEntries),
    fc.array(fc.tuple(tie("tree"), tie("tree")), { maxLength: 3 }).map((list) => new Map(list)),
    fc.array(tie("tree"), { maxLength: 3 }).map((list) => new Set(list)),
    fc.array(tie("tree"), { maxLength: 3 }).map((list) => Object.assign(list, { extra: list[0] })),
  ),
}));

/** A graph: nodes that point at each other anyhow. */
const tangled = fc
  .array(fc.tuple(fc.constantFrom("object", "array", "map", "set"), fc.array(fc.nat(30))), {
    minLength: 1,
    maxLength: 8,
  })
  .map((plan) => {
    const nodes = plan.map(([kind]): unknown =>
      kind === "object" ? {} : kind === "array" ? [] : kind === "map" ? new Map() : new Set(),
    );
    plan.forEach(([, targets], index) => {
      const node = nodes[index];
      for (const target of targets) {
        const value = target < nodes.length ? nodes[target] : target;
        if (Array.isArray(node)) node.push(value);
        else if (node instanceof Map) node.set(value, node.size);
        else if (node instanceof Set) node.add(value);
        else (node as Record<string, unknown>)[`k${target}`] = value;
      }
    });
    return nodes[0];
  });

describe("there and back", () => {
  test("any tree arrives as structured clone would make it, and as it was", () => {
    fc.assert(
      fc.property(tree, (value) => {
        const arrived = roundTrip(value);
        expect(difference(arrived, value)).toBeNull();
        expect(difference(arrived, structuredClone(value))).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  test("any arguments", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(scalar, tree), { maxLength: 6 }), (args) => {
        expect(difference(roundTrip(args, new Known(), "args"), args)).toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  test("any graph keeps its identities", () => {
    fc.assert(
      fc.property(tangled, (value) => {
        const arrived = roundTrip(value);
        expect(difference(arrived, value)).toBeNull();
        expect(difference(arrived, structuredClone(value))).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  test("views anywhere on one buffer", () => {
    const view = fc.tuple(
      fc.nat(8),
      fc.nat(8),
      fc.constantFrom(Uint8Array, Int16Array, Float64Array),
    );
    fc.assert(
      fc.property(fc.array(view, { minLength: 1, maxLength: 5 }), fc.boolean(), (views, whole) => {
        const buffer = new Uint8Array(256).map((_, i) => i).buffer;
        const value = views.map(([at, length, type]) => new type(buffer, at * 8, length));
        const arrived = roundTrip(whole ? [value, buffer] : [value])[0] as typeof value;
        value.forEach((original, i) => {
          expect(difference(arrived[i], original)).toBeNull();
          expect(arrived[i]!.buffer).toBe(arrived[0]!.buffer);
          const offset = original.length === 0 ? -1 : original.byteOffset - arrived[i]!.byteOffset;
          if (offset >= 0) expect(offset).toBe(offsetOf(value, arrived));
        });
      }),
    );
  });
});

/** By how much the first view that is not empty was moved. */
function offsetOf(before: readonly ArrayBufferView[], after: readonly ArrayBufferView[]): number {
  const index = before.findIndex((view) => view.byteLength > 0);
  return before[index]!.byteOffset - after[index]!.byteOffset;
}
