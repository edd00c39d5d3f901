/** The pool's small pieces, each by itself: `bun bench/pieces.ts`. The codec has `bench/codec.ts`. */
import { DEFAULT_TASK, Task } from "../src/scheduler/task.ts";
import { bench, do_not_optimize, group, run } from "mitata";
import type { Encoded } from "../src/codec/value.ts";
import { type KnownFunction, unmeasured } from "../src/scheduler/estimates.ts";
import { Heap } from "../src/collections/heap.ts";
import { ReadyQueue } from "../src/scheduler/ready-queue.ts";
import { Scheduler } from "../src/scheduler/scheduler.ts";
import { Kind } from "../src/wire/frames.ts";
import { readFrames } from "../src/wire/reader.ts";
import { MessageWriter } from "../src/wire/writer.ts";

const SIZES = [1_000, 100_000, 1_000_000];

/** Numbers from 0 to 1, the same in each run. */
function randoms(count: number): Float64Array {
  const numbers = new Float64Array(count);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (state * 48_271) % 2_147_483_647;
    numbers[i] = state / 2_147_483_647;
  }
  return numbers;
}

const keys = randoms(1 << 16);

group("heap: one in, one out, with so many in it", () => {
  for (const size of SIZES) {
    const heap = new Heap<number>();
    let order = 0;
    for (; order < size; order++) heap.push(order, keys[order & 0xffff]!, order);
    bench(`${size}`, () => {
      heap.push(order, keys[order & 0xffff]!, order++);
      return heap.pop();
    });
  }
});

group("ready queue: one in, one out, with so many in it", () => {
  for (const size of SIZES) {
    for (const [name, priorityOf] of [
      ["all of one priority", () => 0],
      ["random priorities", (rank: number) => keys[rank & 0xffff]!],
    ] as const) {
      const queue = new ReadyQueue<{ priority: number; rank: number }>();
      let rank = 0;
      for (; rank < size; rank++) queue.push({ priority: priorityOf(rank), rank });
      bench(`${size}, ${name}`, () => {
        queue.push({ priority: priorityOf(rank), rank: rank++ });
        return queue.pop();
      });
    }
  }
});

function newFunction(expected: number): KnownFunction {
  const reference = { kind: "text", text: "f" } as const;
  return { ...unmeasured({ id: 1, label: "f", reference }), expected };
}

/** A scheduler under full load; a step answers one call, submits one, and starts what it can. */
function stepper(workers: number, queued: number, us: number, random: boolean): () => void {
  const scheduler = new Scheduler();
  for (let i = 0; i < workers; i++) scheduler.ready(scheduler.add());
  const fn = newFunction(us);
  const options = random
    ? Array.from({ length: 256 }, (_, i) => ({ ...DEFAULT_TASK, priority: keys[i]! }))
    : [DEFAULT_TASK];
  const args: unknown[] = [];
  let order = 1;
  let now = 0;
  const submit = () => scheduler.submit(new Task(order, fn, options[order++ % options.length]!));
  /** In flight, in the order of starting: a ring. */
  const flying = new Array<Task>(1 << 20);
  let head = 0;
  let tail = 0;
  const start = () => {
    for (let task = scheduler.next(now); task !== null; task = scheduler.next(now)) {
      flying[tail++ & 0xf_ffff] = task;
    }
  };
  for (let i = 0; i < queued; i++) submit();
  start();
  return () => {
    const task = flying[head++ & 0xf_ffff]!;
    scheduler.answered(scheduler.workers[task.record!.index]!, task.id, us, ++now);
    submit();
    start();
  };
}

group("scheduler: one call submitted, started, answered", () => {
  for (const [name, us] of [
    ["calls of 1 µs", 1],
    ["calls of 1 ms", 1000],
  ] as const) {
    for (const workers of [1, 16, 1000, 16_384]) {
      bench(`${workers} workers, ${name}`, stepper(workers, 200_000, us, false));
    }
  }
  bench("16 workers, 1,000,000 queued", stepper(16, 1_000_000, 1, false));
  bench("16 workers, 1,000,000 queued, random priorities", stepper(16, 1_000_000, 1, true));
});

function content(bytes: number): Encoded {
  return { format: 1, body: new Uint8Array(bytes).fill(7), buffers: [] };
}

group("frames: a batch of calls into one message, per frame", () => {
  for (const bytes of [0, 16, 1024]) {
    const writer = new MessageWriter(1);
    const body = content(bytes);
    let task = 0;
    bench(`write, bodies of ${bytes} B`, () => {
      if (!writer.fits(body)) do_not_optimize(writer.take());
      writer.write(Kind.Call, ++task, 1, body);
    });
  }
});

group("frames: a message of one, written and read", () => {
  for (const bytes of [0, 16, 1024, 60_000]) {
    const writer = new MessageWriter(1);
    const body = content(bytes);
    let task = 0;
    let seen = 0;
    bench(`bodies of ${bytes} B`, () => {
      writer.write(Kind.Result, ++task, 1, body);
      const message = writer.take();
      readFrames(message.bytes, message.length, message.buffers, (frame) => (seen += frame.task));
      return seen;
    });
  }
});

group("frames: a message of 100 read", () => {
  const writer = new MessageWriter(1);
  for (let task = 0; task < 100; task++) writer.write(Kind.Result, task, 1, content(16));
  const { bytes, length, buffers } = writer.take();
  let seen = 0;
  bench("bodies of 16 B", () => {
    readFrames(bytes, length, buffers, (frame) => (seen += frame.content.body.length));
    return seen;
  });
});

await run();
