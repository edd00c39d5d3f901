/** The codec's small pieces, beside the other ways of making bytes: `bun bench/codec.ts`. */
import { deserialize, serialize } from "bun:jsc";
import { Decoder, Encoder } from "cbor-x/index-no-eval";
import { bench, group, run, summary } from "mitata";
import { decodeValue, encodeValue, type Encoded } from "../src/codec/value.ts";

const context = {
  functionId: () => 0,
  classOf: () => null,
  functionOf: () => Math.sin,
  classFor: () => null,
};

const cases: Readonly<Record<string, unknown[]>> = {
  "one number": [42],
  "five scalars": [1, 2.5, true, null, "five"],
  "a small object": [{ id: 7, name: "seven", tags: ["a", "b"], at: { x: 1.5, y: 2.5 } }],
  "an array of 1000 objects": [
    Array.from({ length: 1000 }, (_, id) => ({ id, name: `n${id}`, value: id / 3 })),
  ],
  "a Float64Array of 1 KiB": [new Float64Array(128).fill(0.1)],
  "an array of 1e6 numbers": [Array.from({ length: 1e6 }, (_, i) => i / 3)],
};

const cborEncoder = new Encoder({ useRecords: false, variableMapSize: true });
const cborDecoder = new Decoder({ useRecords: false });

for (const [name, args] of Object.entries(cases)) {
  const ours = encodeValue(args, "args", context);
  const sent: Encoded = {
    format: ours.format,
    body: ours.body.slice(),
    buffers: ours.buffers.map((buffer) => buffer.slice()),
  };
  const cbor = cborEncoder.encode(args).slice();
  const jsc = serialize(args);
  const json = JSON.stringify(args);
  group(`encode ${name}`, () => {
    summary(() => {
      bench("bsync", () => encodeValue(args, "args", context));
      bench("cbor-x", () => cborEncoder.encode(args));
      bench("bun:jsc", () => serialize(args));
      bench("JSON", () => JSON.stringify(args));
    });
  });
  group(`decode ${name}`, () => {
    summary(() => {
      bench("bsync", () => decodeValue(sent, context));
      bench("cbor-x", () => cborDecoder.decode(cbor) as unknown);
      bench("bun:jsc", () => deserialize(jsc) as unknown);
      bench("JSON", () => JSON.parse(json) as unknown);
    });
  });
}

await run();
