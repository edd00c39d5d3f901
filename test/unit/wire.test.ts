import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Encoded } from "../../src/codec/value.ts";
import { BsyncError } from "../../src/errors.ts";
import { Estimates } from "../../src/scheduler/estimates.ts";
import { DEFAULT_TASK, Task } from "../../src/scheduler/task.ts";
import { Kind } from "../../src/wire/frames.ts";
import { Activity, idOf, INITIALIZER } from "../../src/wire/task-id.ts";
import { Flag, MESSAGE_BYTES } from "../../src/wire/frame-layout.ts";
import { firstKind, type Frame, readFrames, readHead } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";

const HEADER_BYTES = 8;
const FRAME_BYTES = 20;

/** A frame as it was received, kept. */
type Received = Pick<
  Frame,
  "kind" | "flags" | "task" | "order" | "number" | "deadline" | "attempt" | "content"
>;

/** A frame as it is written. */
interface Written {
  readonly kind: Kind;
  readonly task: number;
  readonly number: number;
  readonly deadline: number;
  readonly attempt?: number;
  readonly order?: number;
  readonly content: Encoded;
}

/** A message as a link delivers it: in memory of its own, here at an odd place in a larger one. */
interface Message {
  readonly bytes: Uint8Array;
  readonly buffers: Uint8Array[];
}

function deliver(writer: MessageWriter): Message {
  const { bytes, length, buffers } = writer.take();
  const memory = new Uint8Array(length + 16).fill(0xee);
  memory.set(bytes.subarray(0, length), 5);
  return { bytes: memory.subarray(5, 5 + length), buffers: [...buffers] };
}

function send(frames: readonly Written[], session = 7): Message[] {
  const writer = new MessageWriter(session);
  const messages: Message[] = [];
  for (const { kind, task, number, content, deadline, attempt, order } of frames) {
    if (!writer.fits(content)) messages.push(deliver(writer));
    writer.write(kind, task, number, content, deadline, attempt, order);
  }
  if (!writer.empty) messages.push(deliver(writer));
  return messages;
}

function receive({ bytes, buffers }: Message): Received[] {
  const frames: Received[] = [];
  readFrames(bytes, bytes.length, buffers, (frame) => {
    const { kind, flags, task, order, number, deadline, attempt, content } = frame;
    const kept = { ...content, body: content.body.slice() };
    frames.push({ kind, flags, task, order, number, deadline, attempt, content: kept });
  });
  return frames;
}

/** Bytes that differ from place to place and from one seed to the next. */
function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) + seed) & 0xff;
  return bytes;
}

const lengths = (max: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.nat(300) },
    { weight: 2, arbitrary: fc.nat(max) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 131_072, 200 * 1024) },
  );
const bytes = (max: number) => fc.tuple(lengths(max), fc.nat(255)).map(([n, s]) => patterned(n, s));
/** A call, and what is none. */
const numbered = fc.oneof(
  fc.record({ task: fc.nat(0xffff_ffff), number: fc.float({ noNaN: true }) }),
  fc
    .record({ order: fc.integer({ min: 1, max: 2 ** 50 }), number: fc.maxSafeNat() })
    .map((call) => ({
      ...call,
      task: idOf(call.order),
    })),
);
const rest = fc.record({
  kind: fc.constantFrom(...Object.values(Kind)),
  deadline: fc.oneof(fc.constant(Infinity), fc.double({ noNaN: true })),
  attempt: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 40 })),
  content: fc.record({
    format: fc.nat(255),
    body: bytes(200 * 1024),
    buffers: fc.array(bytes(4096), { maxLength: 5 }),
  }),
});
const frame: fc.Arbitrary<Written> = fc
  .tuple(numbered, rest)
  .map(([numbers, rest]) => ({ ...numbers, ...rest }));

function expectSame(received: readonly Received[], sent: readonly Written[]): void {
  expect(received.length).toBe(sent.length);
  for (const [i, written] of sent.entries()) {
    const { kind, task, order = task, number, deadline, attempt = 1, content } = written;
    const frame = received[i]!;
    expect([frame.kind, frame.task, frame.order]).toEqual([kind, task, order]);
    expect([frame.deadline, frame.attempt]).toEqual([deadline, attempt]);
    expect(Object.is(frame.number, number)).toBeTrue();
    expect(frame.content.format).toBe(content.format);
    expect(Buffer.compare(frame.content.body, content.body)).toBe(0);
    expect(frame.content.buffers.length).toBe(content.buffers.length);
    for (const [j, buffer] of content.buffers.entries()) {
      expect(frame.content.buffers[j]).toBe(buffer);
    }
  }
}

describe("what is written is what is read", () => {
  test("frames of every kind, bodies up to 200 KiB, buffers in their order", () => {
    const frames = fc.array(frame, { maxLength: 30 });
    fc.assert(
      fc.property(frames, fc.nat(0xffff_ffff), (frames, session) => {
        const messages = send(frames, session);
        for (const { bytes, buffers } of messages) {
          expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES);
          const head = readHead(bytes, bytes.length);
          expect(head.session).toBe(session);
          expect(head.sizes).toEqual(buffers.map(({ length }) => length));
        }
        expectSame(messages.flatMap(receive), frames);
      }),
      { numRuns: 300 },
    );
  });

  test("a message is filled before the next one is begun", () => {
    const content = { format: 1, body: patterned(1000, 1), buffers: [] };
    const frame = { kind: Kind.Call, task: 1, number: 2, deadline: Infinity, content };
    const frames = Array.from({ length: 1000 }, (_, task) => ({ ...frame, task }));
    const messages = send(frames);
    for (const { bytes } of messages.slice(0, -1)) {
      expect(bytes.length).toBeGreaterThan(MESSAGE_BYTES - 2 * (1000 + FRAME_BYTES));
    }
    expectSame(messages.flatMap(receive), frames);
  });

  test("the largest call there may be fits into an empty message", () => {
    const buffers = Array.from({ length: 4096 }, () => new Uint8Array(1));
    const content = { format: 1, body: patterned(64 * 1024 - 1, 3), buffers };
    const frame = { kind: Kind.Call, task: 1, number: 2, deadline: 5, attempt: 2, content };
    const [message, ...more] = send([frame]);
    expect(more).toEqual([]);
    expect(message!.bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES);
    expectSame(receive(message!), [frame]);
  });

  test("many small buffers do not push a message past its length", () => {
    const content = {
      format: 1,
      body: new Uint8Array(0),
      buffers: Array(64).fill(patterned(9, 9)),
    };
    const frame = { kind: Kind.Result, task: 1, number: 0, deadline: Infinity, content };
    const messages = send(Array.from({ length: 2000 }, () => frame));
    for (const { bytes } of messages) expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES);
    expect(messages.flatMap(receive).length).toBe(2000);
  });

  test("a body that travels behind is copied when it is written", () => {
    const body = patterned(100_000, 1);
    const writer = new MessageWriter(1);
    writer.write(Kind.Result, 1, 0, { format: 1, body, buffers: [] });
    const expected = body.slice();
    body.fill(0);
    const [frame] = receive(deliver(writer));
    expect(Buffer.compare(frame!.content.body, expected)).toBe(0);
    expect(frame!.flags & Flag.BodyBehind).toBe(Flag.BodyBehind);
  });

  test("a writer that was given other memory leaves the last message alone", () => {
    const writer = new MessageWriter(3);
    const content = (seed: number) => ({ format: 1, body: patterned(64, seed), buffers: [] });
    writer.write(Kind.Result, 1, 0, content(1));
    const first = writer.take();
    const kept = first.bytes.subarray(0, first.length);
    const pool = new Uint8Array(4096).fill(0xaa);
    writer.renew(pool.subarray(1024, 2048));
    writer.write(Kind.Result, 2, 0, content(2));
    const second = writer.take();
    expect(second.bytes.byteOffset).toBe(1024);
    expect(receive({ bytes: kept, buffers: [] })[0]!.task).toBe(1);
    const [frame] = receive({ bytes: second.bytes.subarray(0, second.length), buffers: [] });
    expect([frame!.task, Buffer.compare(frame!.content.body, patterned(64, 2))]).toEqual([2, 0]);
    expect(pool.subarray(0, 1024).every((byte) => byte === 0xaa)).toBeTrue();
  });

  test("a message is passed on as it was received, whatever it holds", () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 8 }), (frames) => {
        const writer = new MessageWriter(7);
        for (const message of send(frames)) {
          writer.load(message.bytes, message.bytes.length, message.buffers);
          const passed = deliver(writer);
          expect(Buffer.compare(passed.bytes, message.bytes)).toBe(0);
          expect(passed.buffers).toEqual(message.buffers);
        }
        expect(writer.empty).toBeTrue();
      }),
      { numRuns: 100 },
    );
  });

  test("the kind of the first frame is seen without reading it", () => {
    const writer = new MessageWriter(7);
    const empty = deliver(writer);
    expect(firstKind(empty.bytes, empty.bytes.length)).toBe(0);
    writer.write(Kind.Kill, 3);
    writer.write(Kind.Call, 4);
    const message = deliver(writer);
    expect(firstKind(message.bytes, message.bytes.length)).toBe(Kind.Kill);
  });

  test("an empty writer says so, and a message of no frames has none", () => {
    const writer = new MessageWriter(1);
    expect([writer.empty, writer.fits()]).toEqual([true, true]);
    expect(receive(deliver(writer))).toEqual([]);
    writer.write(Kind.Close, 0);
    expect(writer.empty).toBeFalse();
    writer.take();
    expect(writer.empty).toBeTrue();
  });
});

describe("what does not lie within the message is refused", () => {
  const good = (): Message => {
    const content = { format: 1, body: patterned(40, 1), buffers: [patterned(9, 2)] };
    const frame = { kind: Kind.Call, task: 1, number: 2, deadline: 5, content };
    return send([frame])[0]!;
  };
  const patch = (at: number, value: number): Message => {
    const message = good();
    new DataView(message.bytes.buffer, message.bytes.byteOffset).setUint32(at, value, true);
    return message;
  };
  const read = (message: Message) => () => {
    readHead(message.bytes, message.bytes.length);
    receive(message);
  };
  const body = HEADER_BYTES + 12;
  const cases: readonly (readonly [string, () => Message, RegExp])[] = [
    ["no bytes", () => ({ bytes: new Uint8Array(0), buffers: [] }), /it has 0 bytes/],
    ["half a head", () => ({ bytes: new Uint8Array(7), buffers: [] }), /it has 7 bytes/],
    ["more buffers than it has room for", () => patch(4, 1e9), /announces 1000000000 buffers/],
    ["a body past the end", () => patch(body, 49), /a body runs past its end/],
    ["a body of 4 GiB", () => patch(body, 0xffff_ffff), /a body runs past its end/],
    ["a frame with too many buffers", () => patch(body + 4, 2), /a frame lacks buffers/],
    ["a frame of 2^32 - 1 buffers", () => patch(body + 4, 2 ** 32 - 1), /a frame lacks buffers/],
    ["a buffer of no frame", () => patch(body + 4, 0), /buffers that belong to no frame/],
    ["no room for a deadline", () => patch(body, 7), /a frame lacks its deadline/],
    ["a body shorter than it is", () => patch(body, 30), /its last frame is cut off/],
  ];
  test.each(cases)("%s", (_, message, expected) => {
    let thrown: unknown;
    try {
      read(message())();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BsyncError);
    expect((thrown as BsyncError).code).toBe("BSYNC_FRAME");
    expect((thrown as BsyncError).message).toMatch(/^Cannot read a message of a worker link: /);
    expect((thrown as BsyncError).message).toMatch(expected);
  });

  test.each([-1, 0.5, NaN, Infinity, 2 ** 32 + 1, 2 ** 60])("a buffer of %p bytes", (size) => {
    const { bytes } = good();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    view.setFloat64(bytes.length - 8, size, true);
    expect(() => readHead(bytes, bytes.length)).toThrow(`it announces a buffer of ${size} bytes`);
  });

  test("a length past the memory it is in", () => {
    const { bytes, buffers } = good();
    const past = bytes.length + 1;
    expect(() => readHead(bytes, past)).toThrow(BsyncError);
    expect(() => readFrames(bytes, past, buffers, () => {})).toThrow(BsyncError);
  });

  test("frames before a broken one are delivered", () => {
    const content = { format: 1, body: patterned(10, 1), buffers: [] };
    const frame = { kind: Kind.Result, task: 1, number: 2, deadline: Infinity, content };
    const [{ bytes }] = send([frame, { ...frame, task: 2 }, { ...frame, task: 3 }]) as [Message];
    const tasks: number[] = [];
    const take = ({ task }: Frame) => void tasks.push(task);
    expect(() => readFrames(bytes, bytes.length - 1, [], take)).toThrow("runs past its end");
    expect(tasks).toEqual([1, 2]);
  });
});

describe("damage", () => {
  const CASES = 100_000;

  /** A generator of its own, so that a seed reproduces a case whatever the engine does. */
  function generator(seed: number): (below: number) => number {
    let state = seed >>> 0;
    return (below) => {
      state = (state + 0x9e37_79b9) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
      return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
    };
  }

  function randomMessage(random: (below: number) => number): Message {
    const frames = Array.from({ length: 1 + random(4) }, () => {
      const buffers = Array.from({ length: random(3) }, () => patterned(random(40), 1));
      const content = { format: random(8), body: patterned(random(60), random(256)), buffers };
      const deadline = random(2) === 0 ? Infinity : random(1000);
      const attempt = 1 + random(2);
      return { kind: Kind.Call, task: random(100), number: random(50), deadline, attempt, content };
    });
    return send(frames)[0]!;
  }

  const EXTREMES = [0, 1, 7, 8, 20, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

  function damage({ bytes }: Message, random: (below: number) => number): Uint8Array {
    if (random(10) === 0) {
      return Uint8Array.from({ length: random(120) }, () => random(256));
    }
    const damaged = bytes.slice(0, random(4) === 0 ? random(bytes.length + 1) : bytes.length);
    const view = new DataView(damaged.buffer);
    for (let i = random(4); i >= 0 && damaged.length >= 4; i--) {
      const at = random(damaged.length - 3);
      if (random(2) === 0) damaged[at] = random(256);
      else view.setUint32(at, EXTREMES[random(EXTREMES.length)]!, true);
    }
    return damaged;
  }

  /** What a link does with it: the head, the buffers it announces, the frames. */
  function readAll(bytes: Uint8Array): number {
    // The message lies in larger memory, whose other bytes nobody may see.
    const memory = new Uint8Array(bytes.length + 64).fill(0xee);
    memory.set(bytes, 32);
    const view = memory.subarray(32, 32 + bytes.length);
    const { sizes } = readHead(view, view.length);
    const buffers = sizes.map(() => new Uint8Array(0));
    let seen = 0;
    readFrames(view, view.length, buffers, ({ content: { body } }) => {
      seen += 1 + body.length;
      const inside = body.buffer !== memory.buffer || body.byteOffset >= 32;
      const ends = body.byteOffset - 32 + body.length <= bytes.length;
      if (!inside || (body.buffer === memory.buffer && !ends))
        throw new Error("read out of bounds");
    });
    return seen;
  }

  test("100,000 mutated and random messages throw nothing but a BsyncError, and end", () => {
    const seed = Number(process.env["BSYNC_TEST_SEED"] ?? Date.now() % 2 ** 32);
    const random = generator(seed);
    let refused = 0;
    for (let i = 0; i < CASES; i++) {
      const bytes = damage(randomMessage(random), random);
      try {
        // Each frame takes its 20 bytes at least, so no more can be seen than there was.
        if (readAll(bytes) > bytes.length) throw new Error("more was seen than there was");
      } catch (error) {
        if (error instanceof BsyncError && error.code === "BSYNC_FRAME") {
          refused++;
          continue;
        }
        const hex = Buffer.from(bytes).toString("hex");
        throw new Error(`BSYNC_TEST_SEED=${seed}, case ${i}: ${hex}`, { cause: error });
      }
    }
    // Both happened, so both were looked at.
    expect(refused).toBeGreaterThan(CASES / 10);
    expect(refused).toBeLessThan(CASES - CASES / 10);
  }, 30_000);
});

describe("numbers of tasks", () => {
  const TURN = 2 ** 32;

  test("none is a reserved one, and a turn long none comes again", () => {
    for (const from of [1, TURN - 10, 2 * TURN - 20, 2 ** 45]) {
      const ids = Array.from({ length: 40 }, (_, i) => idOf(from + i));
      for (const id of ids) {
        expect([Activity.Idle, Activity.Loading, INITIALIZER]).not.toContain(id);
        expect(id >>> 0).toBe(id);
      }
      expect(new Set(ids).size).toBe(ids.length);
    }
    expect([1, TURN - 3, TURN - 2, TURN - 1].map(idOf)).toEqual([1, TURN - 3, 1, 2]);
  });

  test("a task has such a number", () => {
    const fn = new Estimates().of({
      id: 1,
      label: "deed",
      reference: { kind: "task", name: "deed" },
    });
    const orders = [1, TURN - 3, TURN - 2, TURN - 1, TURN, 2 ** 45];
    expect(orders.map((order) => new Task(order, fn, DEFAULT_TASK).id)).toEqual(orders.map(idOf));
  });
});
