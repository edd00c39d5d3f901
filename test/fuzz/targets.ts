/**
 * What is fed with damaged bytes. A target takes one input, made from `random` alone, and throws where
 * something comes of it that must not: an error that is not bsync's own, a place outside of the input, a
 * reader that does not come to an end, a task that is not settled.
 */
import { DEFAULT_TASK } from "../../src/scheduler/task.ts";
import { decodeThrown, encodeThrown } from "../../src/codec/thrown.ts";
import { decodeValue, type Encoded, encodeValue } from "../../src/codec/value.ts";
import { Controller } from "../../src/controller/controller.ts";
import { BsyncError } from "../../src/errors.ts";
import { recordOf } from "../../src/function/reference.ts";
import type { LinkOwner, ControllerEnd } from "../../src/link/link.ts";
import { Piece, RingBuffer, RING_HEADER } from "../../src/link/local/ring-buffer.ts";
import { SHARED_BYTES, SharedLink } from "../../src/link/local/shared.ts";
import type { BackendOwner, Backend } from "../../src/backend/backend.ts";
import { FRAMES, Kind } from "../../src/wire/frames.ts";
import { Known, received } from "../codec/trip.ts";
import { mutate, type Random } from "./random.ts";
import { type Frame, readFrames, readHead } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";

export type Target = (random: Random) => void | Promise<void>;

const context = new Known([Math.abs]);

const VALUES: readonly unknown[] = [
  [1, 2.5, "text", -0, null, "世界", true, undefined],
  { a: [1, { b: "c" }], long: "x".repeat(300), numbers: [1e300, -5, 70_000] },
  [new Map<unknown, unknown>([[1, new Set([[]])]]), new Date(5), /x/gi, 5n, Math.abs, "\ud800"],
  [new Float64Array(9), new ArrayBuffer(8), [, 1], new DataView(new ArrayBuffer(4), 1)],
  [new Error("m", { cause: new TypeError("c") }), new AggregateError([new RangeError("r")])],
  [new Uint8Array(70_000), "x".repeat(70_000), Array.from({ length: 300 }, (_, i) => i)],
  [Object.create(null), Object(1n), new Blob(["x"]), JSON.parse('{"__proto__": 1}')],
  [-(2n ** 70n), new Int8Array([1, -1]), Buffer.from("buffer"), { deep: { deep: { deep: [[]] } } }],
];

const SAMPLES: readonly Encoded[] = [
  ...VALUES.map((value) => received(encodeValue(value, "result", context))),
  ...[new RangeError("thrown"), 42, undefined, { thrown: [new Map()] }].map((thrown) =>
    received(encodeThrown(thrown, context)),
  ),
];

/** Nothing but one of bsync's errors may come of it. */
function survive(deed: () => void): void {
  try {
    deed();
  } catch (error) {
    if (!(error instanceof BsyncError)) throw error;
  }
}

function damaged(random: Random): Encoded {
  const { format, body, buffers } = random.pick(SAMPLES);
  return {
    format: random.oneIn(8) ? random.below(5) : format,
    body: mutate(random, body),
    // The content of a buffer means nothing to anybody; how many there are, and how long, does.
    buffers: buffers.slice(random.below(4) === 0 ? 1 : 0).map((buffer) => new Uint8Array(buffer)),
  };
}

function value(random: Random): void {
  const encoded = damaged(random);
  survive(() => void decodeValue(encoded, context));
  survive(() => void decodeThrown(encoded, context, () => "here"));
  if (Object.keys(Object.prototype).length > 0) throw new Error("a prototype was changed");
}

const KINDS = [...Object.values(Kind), 0, 255] as readonly Kind[];

/** A message as a peer might send it, and the buffers behind it. */
function message(random: Random): { bytes: Uint8Array; buffers: Uint8Array[] } {
  const writer = new MessageWriter(1);
  for (let frames = random.below(4); frames >= 0; frames--) {
    const content = random.oneIn(4) ? undefined : random.pick(SAMPLES);
    if (!writer.fits(content)) break;
    const deadline = random.oneIn(3) ? random.below(1_000) : Infinity;
    writer.write(random.pick(KINDS), random.nasty(), random.word(), content, deadline);
  }
  const { bytes, length, buffers } = writer.take();
  return { bytes: bytes.slice(0, length), buffers };
}

function checkFrame(frame: Frame, bytes: Uint8Array, buffers: readonly Uint8Array[]): void {
  const { start, end } = frame;
  const behind = frame.bytes !== bytes;
  if (behind && !buffers.includes(frame.bytes)) throw new Error("a body from elsewhere");
  if (!(start >= 0 && start <= end && end <= frame.bytes.length)) {
    throw new Error(`a body from ${start} to ${end} of ${frame.bytes.length}`);
  }
  for (const buffer of frame.buffers) {
    if (!buffers.includes(buffer)) throw new Error("a buffer from elsewhere");
  }
}

function frames(random: Random): void {
  const sound = message(random);
  const bytes = mutate(random, sound.bytes);
  const buffers = random.oneIn(4) ? sound.buffers.slice(1) : sound.buffers;
  const length = random.oneIn(8) ? random.nasty() : bytes.length;
  survive(() => {
    const { sizes } = readHead(bytes, length);
    if (sizes.length * 8 > bytes.length) throw new Error(`${sizes.length} buffers announced`);
    for (const size of sizes) if (!(size >= 0)) throw new Error(`a buffer of ${size} bytes`);
  });
  let count = 0;
  survive(() => {
    readFrames(bytes, length, buffers, (frame) => {
      checkFrame(frame, bytes, buffers);
      if (++count > bytes.length) throw new Error("more frames than bytes");
      survive(() => void decodeValue(frame.content, context));
    });
  });
}

const RING_BYTES = 1024;

/** Changes words anywhere in memory: positions, notes, lengths, kinds, content. */
function scribble(random: Random, memory: Uint8Array): void {
  const words = new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    // Half of them where the positions are.
    const at = random.oneIn(2) ? random.below(64) : random.below(words.length);
    words[at % words.length] = random.oneIn(3) ? words[at % words.length]! + 8 : random.nasty();
  }
}

function ring(random: Random): void {
  const around = 64;
  const whole = new Uint8Array(new ArrayBuffer(RING_HEADER + RING_BYTES + 2 * around)).fill(0xee);
  const memory = whole.subarray(around, whole.length - around).fill(0);
  const [writer, reader] = [new RingBuffer(memory), new RingBuffer(memory)];
  const bytes = new Uint8Array(400).fill(7);
  let taken = 0;
  const take = (_: number, from: Uint8Array, start: number, length: number) => {
    taken++;
    if (start < 0 || length < 0 || start + length > from.length) {
      throw new Error(`a record from ${start} of ${length} bytes`);
    }
  };
  for (let round = 0; round < 4; round++) {
    survive(() => {
      for (let i = random.below(6); i > 0; i--) {
        const length = Math.min(random.below(bytes.length), writer.longest(bytes.length));
        writer.write(random.pick([Piece.Message, Piece.Buffer]), bytes, 0, length);
      }
    });
    if (random.oneIn(2)) scribble(random, memory);
    survive(() => {
      // What lies there is less than one record for each 8 bytes, a lap at a time.
      for (let reads = 0; reader.read(take); reads++) {
        if (reads > RING_BYTES / 8) throw new Error("it reads on and on");
      }
    });
    void [reader.readable, writer.drained, writer.position, reader.taskWord];
  }
  if (taken > 4 * (RING_BYTES / 8 + 1)) throw new Error(`${taken} records`);
  for (const at of [...Array(around).keys()]) {
    if (whole[at] !== 0xee || whole.at(-1 - at) !== 0xee) throw new Error("written outside");
  }
}

/** Memory of its own would have to be cleared by the system each time. */
const shared = new Uint8Array(new ArrayBuffer(SHARED_BYTES));

/** Two ends of one memory, which a third hand changes. */
function link(random: Random): void {
  const half = SHARED_BYTES / 2;
  for (const at of [0, half]) shared.fill(0, at, at + 4096);
  const ends = [0, 1].map((side) => {
    let lost = 0;
    const owner: LinkOwner = {
      onMessage(bytes, length, buffers) {
        if (lost > 0) throw new Error("a message of a link that was lost");
        survive(() =>
          readFrames(bytes, length, buffers, (frame) => checkFrame(frame, bytes, buffers)),
        );
      },
      onPause() {},
      onLost() {
        if (++lost > 1) throw new Error("lost twice");
      },
    };
    const nothing = () => {};
    return new SharedLink(shared, side as 0 | 1, owner, nothing, nothing);
  }) as [SharedLink, SharedLink];
  for (let round = 0; round < 6; round++) {
    const [from, to] = random.oneIn(2) ? ends : [ends[1], ends[0]];
    const writer = new MessageWriter(1);
    const content = random.oneIn(3) ? damaged(random) : random.pick(SAMPLES);
    writer.write(random.pick(KINDS), random.nasty(), 0, content);
    from.send(writer);
    if (random.oneIn(2)) scribble(random, shared.subarray(random.pick([0, half]), half));
    for (let polls = 0; polls < 4; polls++) to.poll();
    from.poll();
    void [to.currentTask, from.reading, to.arm()];
  }
  for (const end of ends) end.close();
}

/** The outside of a controller whose workers say whatever `random` says. */
class Hostile implements Backend {
  readonly session = 1;
  readonly opening = {
    main: "/main.ts",
    text: null,
    pid: 1,
    host: "here",
    pidSpace: "",
    spinUs: 0,
  };
  readonly #owners = new Map<number, LinkOwner>();
  /** The numbers of the tasks that each worker has been sent. */
  readonly sent = new Map<number, number[]>();

  attach(_: BackendOwner): void {}
  hostOf(): string {
    return "here";
  }

  rankOf(): null {
    return null;
  }
  disconnect(): void {}
  poll(): boolean {
    return false;
  }
  checkAlive(): void {}
  wait(): void {}
  wake(): void {}
  unref(): void {}
  close(): void {}

  connect(index: number, owner: LinkOwner): ControllerEnd {
    this.#owners.set(index, owner);
    this.sent.set(index, []);
    return {
      rank: null,
      send: (message) => {
        const { bytes, length, buffers } = message.take();
        readFrames(bytes, length, buffers, ({ kind, task }) => {
          if (kind === Kind.Call) this.sent.get(index)!.push(task);
        });
      },
      prewake() {},
      poll: () => false,
      currentTask: undefined,
      reading: null,
      received: 0,
      meet() {},
      close: () => void this.#owners.delete(index),
    };
  }

  say(index: number, bytes: Uint8Array, buffers: Uint8Array[]): void {
    this.#owners.get(index)?.onMessage(bytes, bytes.length, buffers);
  }
}

const NO_LIMITS = {
  ...{ queue: Infinity, tasksPerWorker: Infinity, memoryPerWorker: Infinity, concurrency: 1 },
};
const NO_DRAIN = { signals: [], timeout: 0 };
const SETTINGS = {
  ...{ limits: NO_LIMITS, drain: NO_DRAIN, task: DEFAULT_TASK },
  unhandled: "ignore",
} as const;
const GREETING = { pid: 7, host: "here", pidSpace: "", spinUs: 0 };

/** What a worker may say. */
const ANSWERS = Object.values(Kind).filter((kind) => FRAMES[kind].from === "worker");

/** A controller, and workers that answer with damaged messages: every task is settled once. */
async function controller(random: Random): Promise<void> {
  const outside = new Hostile();
  const controller = new Controller(outside, SETTINGS);
  const opened = controller.open(2, null, 1_000_000).catch(() => {});
  const frame = (kind: Kind, task: number, content?: Encoded) => {
    const writer = new MessageWriter(1);
    writer.write(kind, task, random.below(100), content);
    const { bytes, length, buffers } = writer.take();
    return { bytes: bytes.slice(0, length), buffers };
  };
  const greet = (index: number) => {
    const { bytes, buffers } = frame(Kind.Ready, 0, encodeValue(GREETING, "result", context));
    outside.say(index, bytes, buffers);
  };
  for (const index of [0, 1]) greet(index);
  await opened;
  const settled: number[] = [];
  const fn = recordOf(Math.abs.name);
  const tasks = Array.from({ length: 8 }, (_, i) => {
    const task = controller.calls.submit(fn, [i], DEFAULT_TASK);
    settled.push(0);
    const count = () => settled[i]!++;
    controller.promise(task).then(count, count);
    return task;
  });
  for (let round = 0; round < 12; round++) {
    const index = random.below(2);
    const task = random.pick(outside.sent.get(index)!) ?? random.nasty();
    const kind = random.pick(ANSWERS);
    const sound = frame(kind, task, random.pick(SAMPLES));
    const bytes = random.oneIn(2) ? mutate(random, sound.bytes) : sound.bytes;
    outside.say(index, bytes, random.oneIn(4) ? [] : sound.buffers);
    if (random.oneIn(3)) greet(index);
  }
  const end = controller.terminate(undefined);
  for (const task of tasks) if (!task.settled) throw new Error(`${task.label} is not settled`);
  for (const index of [0, 1]) {
    const { bytes } = frame(Kind.Closed, 0);
    outside.say(index, bytes, []);
  }
  await end;
  if (settled.some((times) => times !== 1)) throw new Error(`settled ${settled.join()} times`);
}

/** Each target, and how many of a thousand inputs are for it: the last ones take longer. */
export const TARGETS: Readonly<Record<string, { readonly share: number; readonly run: Target }>> = {
  value: { share: 500, run: value },
  frames: { share: 400, run: frames },
  ring: { share: 80, run: ring },
  link: { share: 15, run: link },
  controller: { share: 5, run: controller },
};
