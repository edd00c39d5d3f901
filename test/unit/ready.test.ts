import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { numbers } from "../contract/numbers.ts";
import { type Ready, ReadyQueue } from "../../src/scheduler/ready-queue.ts";

/** Least priority first, then least rank: what `toSorted`, being stable, makes of a list. */
function sorted(tasks: readonly Ready[]): Ready[] {
  return tasks
    .toSorted((a, b) => a.rank - b.rank)
    .toSorted((a, b) => (a.priority === b.priority ? 0 : a.priority < b.priority ? -1 : 1));
}

function popAll(queue: ReadyQueue<Ready>): Ready[] {
  const popped: Ready[] = [];
  for (let task = queue.pop(); task !== undefined; task = queue.pop()) popped.push(task);
  return popped;
}

const priorities = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: -2, max: 2 }) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity, 0.5, -0) },
);

type Step =
  | { readonly do: "push"; readonly priority: number; readonly times: number }
  | { readonly do: "pop"; readonly times: number }
  /** Takes some, and puts them back as a lost worker's tasks are. */
  | { readonly do: "requeue"; readonly times: number }
  | { readonly do: "keep"; readonly modulus: number };

const times = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1000, max: 3000 }) },
);

/** Steps of so many tasks each, of these priorities. */
function stepsOf(
  priorities: fc.Arbitrary<number>,
  times: fc.Arbitrary<number>,
  maxLength: number,
): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .tuple(priorities, times)
          .map(([priority, times]): Step => ({ do: "push", priority, times })),
      },
      { weight: 4, arbitrary: times.map((times): Step => ({ do: "pop", times })) },
      { weight: 2, arbitrary: times.map((times): Step => ({ do: "requeue", times })) },
      {
        weight: 1,
        arbitrary: fc.integer({ min: 1, max: 4 }).map((modulus): Step => ({ do: "keep", modulus })),
      },
    ),
    { maxLength, size: "max" },
  );
}

/** Plays steps on a queue, and on a list that is sorted after each. */
function playOnBoth(steps: readonly Step[]): void {
  const queue = new ReadyQueue<Ready>();
  let expected: Ready[] = [];
  let rank = 1;
  const pop = (times: number) => {
    const popped: Ready[] = [];
    for (let i = 0; i < times && queue.size > 0; i++) popped.push(queue.pop()!);
    expect(popped).toEqual(expected.splice(0, popped.length));
    return popped;
  };
  for (const step of steps) {
    if (step.do === "push") {
      for (let i = 0; i < step.times; i++) {
        const task = { priority: step.priority, rank: rank++ };
        queue.push(task);
        expected.push(task);
      }
    } else if (step.do === "pop") {
      pop(step.times);
    } else if (step.do === "requeue") {
      const returned = pop(step.times).filter((_, i) => i % 3 !== 0);
      for (const task of returned.toReversed()) queue.push(task);
      expected.push(...returned);
    } else {
      const wanted = ({ rank }: Ready) => rank % step.modulus !== 1;
      queue.keep(wanted);
      expected = expected.filter(wanted);
    }
    expected = sorted(expected);
    expect(queue.size).toBe(expected.length);
    expect(queue.peek()).toBe(expected[0] as Ready);
  }
  expect(popAll(queue)).toEqual(expected);
  expect([queue.size, queue.peek(), queue.pop()]).toEqual([0, undefined, undefined]);
}

describe("the order is that of a stable sort", () => {
  test("for any interleaving of arrivals, departures, returns and sweeps", () => {
    fc.assert(fc.property(stepsOf(priorities, times, 40), playOnBoth), { numRuns: 200 });
  });

  test("the same with more priorities than have a queue of their own", () => {
    const many = stepsOf(fc.integer({ min: -99, max: 99 }), fc.constantFrom(1, 2), 400);
    fc.assert(fc.property(many, playOnBoth), { numRuns: 100 });
    const rising = numbers(300).map((i): Step => ({ do: "push", priority: i, times: 1 }));
    const some: Step = { do: "pop", times: 250 };
    playOnBoth([...rising, some, { do: "push", priority: 260, times: 1 }, ...rising, some]);
  });

  test("a task that comes back goes before all that were submitted after it", () => {
    const queue = new ReadyQueue<Ready>();
    for (let rank = 1; rank <= 5; rank++) queue.push({ priority: 0, rank });
    const [first, second] = [queue.pop()!, queue.pop()!];
    queue.push({ priority: 0, rank: 6 });
    queue.push(second);
    queue.push({ priority: -1, rank: 7 });
    queue.push(first);
    expect(popAll(queue).map(({ rank }) => rank)).toEqual([7, 1, 2, 3, 4, 5, 6]);
  });

  test("one task without urgency, in front of the others, disturbs nobody", () => {
    const queue = new ReadyQueue<Ready>();
    queue.push({ priority: Infinity, rank: 1 });
    for (let rank = 2; rank <= 5; rank++) queue.push({ priority: 0, rank });
    expect(popAll(queue).map(({ rank }) => rank)).toEqual([2, 3, 4, 5, 1]);
  });
});

test("tasks in the order of arrival are looked at a few times each, however many wait", () => {
  let looks = 0;
  class Watched implements Ready {
    constructor(readonly number: number) {}
    get priority(): number {
      looks++;
      return 0;
    }
    get rank(): number {
      looks++;
      return this.number;
    }
  }
  const count = 100_000;
  const queue = new ReadyQueue<Watched>();
  for (let i = 0; i < count; i++) queue.push(new Watched(i));
  for (let i = 0; i < count; i++) expect(queue.pop()?.number).toBe(i);
  expect(queue.size).toBe(0);
  // In a heap it would be some thirty times.
  expect(looks).toBeLessThanOrEqual(8 * count);
});
