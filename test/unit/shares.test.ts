/** The two sides of a pool's shared values, with workers of other hosts that a test plays. */
import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { decodeAt, type DecodeContext, encodeValue } from "../../src/codec/value.ts";
import type { FunctionRecord } from "../../src/function/record.ts";
import { openNameless, writeAll } from "../../src/os/nameless.ts";
import { PoolShares, type Peer } from "../../src/share/pool-shares.ts";
import { ReceivedShares } from "../../src/share/received.ts";
import type { HeldNotice } from "../../src/share/notices.ts";
import { FileStore } from "../../src/share/store.ts";
import { allocate, readFrames } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";

const BYTES = 20 * 2 ** 20;
const PART_BYTES = 4 * 2 ** 20;

const encode = (value: unknown) =>
  encodeValue(value, "value", { functionId: () => 0, classOf: () => null });
const decoding: DecodeContext = {
  functionOf: () => {
    throw new Error("there are no functions here");
  },
  classFor: () => null,
};

interface Message {
  readonly bytes: Uint8Array;
  readonly buffers: readonly Uint8Array[];
}

/** A worker: it is given its messages when the test says so. */
class Worker implements Peer {
  readonly isIdle = true;
  readonly received: ReceivedShares;
  readonly answers: HeldNotice[] = [];
  readonly #writer = new MessageWriter(1);
  #messages: Message[] = [];

  constructor(
    readonly name: string,
    readonly space: string,
    onHeld: (peer: Peer, id: number, notice: HeldNotice) => void,
  ) {
    this.received = new ReceivedShares({
      decoding,
      decode: (frame) => decodeAt(frame, decoding),
      answer: (id, notice) => {
        this.answers.push(notice);
        onHeld(this, id, notice);
      },
      onArrived: () => {},
    });
  }

  send: Peer["send"] = (kind, id, number, content) => {
    this.#writer.write(kind, id, number, content);
    const { bytes, length, buffers } = this.#writer.take();
    this.#messages.push({ bytes: bytes.slice(0, length), buffers: buffers.map((b) => b.slice()) });
  };

  define(): void {}

  /** It receives so many messages, in order; the buffers that came with them. */
  take(count = Infinity): readonly Uint8Array[] {
    const messages = this.#messages.splice(0, count);
    for (const { bytes, buffers } of messages) {
      readFrames(bytes, bytes.length, buffers, (frame) => this.received.take(frame));
    }
    return messages.flatMap(({ buffers }) => buffers);
  }
}

/** A pool without workers, in whose values these functions are. */
function newPool(functions: readonly FunctionRecord[] = []) {
  const workers: Worker[] = [];
  let check = (): void => {};
  const shares = new PoolShares({
    encodeValue: (value) => {
      const encoded = encode(value);
      return { ...encoded, body: encoded.body.slice(), functions };
    },
    encode,
    peers: () => workers,
    flush: () => {},
    wait: (condition) =>
      new Promise((resolve) => {
        check = () => void (condition() && resolve());
        check();
      }),
    changed: () => check(),
  });
  const add = (name: string, host: string): Worker => {
    const worker = new Worker(name, host, (...told) => shares.onHeld(...told));
    workers.push(worker);
    shares.onMet();
    return worker;
  };
  return { shares, workers, add };
}

test("freed while it comes to a host again, it holds up no worker there", async () => {
  const { shares, workers, add } = newPool();
  const first = add("first", "there");
  const sharing = shares.share(new Uint8Array(BYTES).fill(1));
  first.take();
  const shared = await sharing;
  expect(first.received.valueOf(1)).toEqual(shared.value);
  // All of its host are lost, and others come.
  workers.length = 0;
  const [receiver, other] = [add("receiver", "there"), add("other", "there")];
  receiver.take(2);
  other.take();
  expect([receiver, other].map(({ received }) => received.isArriving)).toEqual([true, true]);
  shared.free();
  for (const worker of [receiver, other]) worker.take();
  expect([receiver, other].map(({ received }) => received.isArriving)).toEqual([false, false]);
  expect(() => other.received.valueOf(1)).toThrow("freed");
  for (const { received } of [first, receiver, other]) received.end();
});

test("a worker whose pool ends half-way keeps no memory for the parts to come", async () => {
  const { shares, add } = newPool();
  const worker = add("worker", "there");
  const sharing = shares.share(new Uint8Array(BYTES)).catch((error: Error) => error.name);
  // The announcement, the body, and two parts of five.
  const taken = worker.take(4);
  expect(worker.received.isArriving).toBeTrue();
  shares.end();
  worker.received.end();
  expect(worker.received.isArriving).toBeFalse();
  expect(taken.at(-1)).toHaveLength(PART_BYTES);
  expect(taken.includes(allocate(PART_BYTES))).toBeFalse();
  expect(await sharing).toBe("PoolClosedError");
});

test("once a worker has refused it, it is sent to no other of its host", async () => {
  const { shares, workers, add } = newPool();
  const [first, second] = [add("first", "there"), add("second", "there")];
  const sharing = shares.share(new Uint8Array(BYTES)).catch((error: Error) => error.message);
  shares.onHeld(first, 1, { kind: "refused", reason: "it is full" });
  expect(await sharing).toBe("Cannot share a value: first has no memory for it: it is full");
  expect(second.take()).toHaveLength(0);
  first.take();
  for (const { received } of workers) {
    expect(received.isArriving).toBeFalse();
    received.end();
  }
});

test("memory that was closed is closed once, whoever has its descriptor's number by then", () => {
  const layout = { format: 0, sizes: [8] };
  const store = FileStore.make(layout, tmpdir()) as FileStore;
  store.close();
  const next = openNameless(tmpdir());
  expect(next).toBe(store.place.fd);
  store.close();
  writeAll(next, new Uint8Array(8), 0);
  closeSync(next);
});

test("for a checkpoint it counts by the texts of its functions", async () => {
  const digests: number[] = [];
  for (const text of ["(x) => x", "(x) => x", "(x) => -x"]) {
    const { shares } = newPool([{ id: 1, label: "f", reference: { kind: "text", text } }]);
    await shares.share([1]);
    digests.push(shares.digestOf(1));
    shares.end();
  }
  const [first, again, other] = digests;
  expect(again).toBe(first!);
  expect(other).not.toBe(first!);
});
