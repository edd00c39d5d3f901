/** `bsync report`: reading a trace of any size, and what it says kept the workers. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Bars } from "../../src/cli/report/bars.ts";
import { Columns } from "../../src/cli/report/columns.ts";
import { NoTrace, Scanner, type Event } from "../../src/cli/report/events.ts";
import { factsOf } from "../../src/cli/report/facts.ts";
import { Longest } from "../../src/cli/report/longest.ts";
import { pageOf } from "../../src/cli/report/page.ts";
import { resampled } from "../../src/cli/report/resample.ts";
import { linesOf, widthOf } from "../../src/cli/report/text-width.ts";
import { Totals } from "../../src/cli/report/totals.ts";
import { verdictsOf } from "../../src/cli/report/verdicts.ts";

describe("events", () => {
  const events = [
    { name: 'a "}" \\ [{', ph: "i", args: { deep: { deeper: [{}, "]"] } } },
    { name: "ü 🙂 ×2", ph: "X" },
    { name: "", ph: "M" },
  ];

  function scan(bytes: Buffer, each: number): { found: Event[]; isWhole: boolean; unread: number } {
    const found: Event[] = [];
    const scanner = new Scanner((event) => found.push(event));
    for (let i = 0; i < bytes.length; i += each) scanner.add(bytes.subarray(i, i + each));
    return { found, ...scanner.end(false) };
  }

  test("are the same whatever the pieces, and however the text is laid out", () => {
    const layouts = [
      `[\n${events.map((event) => JSON.stringify(event)).join(",\n")}\n]\n`,
      JSON.stringify(events, null, 4),
      `\uFEFF ${JSON.stringify({ about: { n: 1 }, traceEvents: events, unit: "ms" })}`,
    ];
    for (const text of layouts) {
      for (const each of [1, 2, 3, 7, 50, 10_000]) {
        const read = scan(Buffer.from(text), each);
        expect(read).toEqual({ found: events, isWhole: true, unread: 0 });
      }
    }
  });

  test("of a trace that was cut off anywhere are those that are whole", () => {
    const bytes = Buffer.from(`[\n${events.map((event) => JSON.stringify(event)).join(",\n")}`);
    for (let length = 1; length <= bytes.length; length++) {
      const { found, isWhole, unread } = scan(bytes.subarray(0, length), 16);
      expect(found).toEqual(events.slice(0, found.length));
      expect([isWhole, unread]).toEqual([false, 0]);
      if (length === bytes.length) expect(found).toHaveLength(3);
    }
  });

  test("one that is broken is counted, the others are read", () => {
    const read = scan(Buffer.from('[{"a":1},{"b":nonsense},{"c":3}]'), 5);
    expect(read).toEqual({ found: [{ a: 1 }, { c: 3 }], isWhole: true, unread: 1 });
  });

  test("what is no trace is refused: early, and in words", () => {
    const refused = (text: string) => {
      expect(() => scan(Buffer.from(text), 100)).toThrow(NoTrace);
    };
    for (const text of ["", " \n", "hello", '"[]"', "{}", '{"a":1}', "\0\0\0", "<html>"])
      refused(text);
    refused(`{"a":"${"x".repeat(100_000)}","traceEvents":[]}`);
    refused(`[{"a":"${"x".repeat(9_000_000)}"}]`);
  });
});

describe("columns", () => {
  test("keep the sum while time goes on, and memory does not", () => {
    const spans = fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        fc.double({ min: 0, max: 1e4, noNaN: true }),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(spans, (all) => {
        const columns = new Columns(64);
        for (const [begin, length] of all) columns.add(begin, begin + length, 2);
        const total = all.reduce((sum, [begin, length]) => sum + 2 * (begin + length - begin), 0);
        const values = columns.values();
        const sum = values.reduce((a, b) => a + b, 0);
        expect(values).toHaveLength(64);
        expect(Math.abs(sum - total)).toBeLessThanOrEqual(1e-6 * (1 + total));
      }),
    );
  });

  test("are where the time was", () => {
    const columns = new Columns(1_024);
    columns.add(100, 200);
    columns.add(150, 200, 3);
    const shown = resampled(columns, 400, 8).map(Math.round);
    expect(shown).toEqual([0, 0, 1, 4, 0, 0, 0, 0]);
    expect(resampled(new Columns(64), 0, 4)).toEqual([0, 0, 0, 0]);
  });
});

test("the longest are kept, of however many", () => {
  const longest = new Longest<number>((x) => x);
  for (let i = 0; i < 50_000; i++) longest.add((i * 7_919) % 50_000);
  expect(longest.all).toEqual(Array.from({ length: 4_000 }, (_, i) => 49_999 - i));
  expect(longest.dropped).toBe(46_000);
});

test("texts are broken into lines that fit, and no word is lost", () => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 60 }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(words, fc.integer({ min: 30, max: 400 }), (all, most) => {
      const text = all.join(" ");
      const lines = linesOf(text, most, 15);
      expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
      for (const line of lines) expect(widthOf(line, 15)).toBeLessThanOrEqual(most);
    }),
  );
  expect(linesOf("one two three", 60, 15)).toEqual(["one two", "three"]);
  expect(linesOf("", 60, 15)).toEqual([""]);
});

test("bars count all lengths, from nothing to years", () => {
  const bars = new Bars();
  for (const ms of [0, 0.001, 0.5, 1, 1e4, 1e15]) bars.record(ms);
  bars.record(3, 10);
  const { all } = bars;
  expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(16);
  const three = all.find(({ from, to }) => from < 3 && 3 <= to)!;
  expect(three.count).toBe(10);
  expect(new Bars().all).toEqual([]);
});

interface Task {
  readonly worker: number;
  /** ms. */
  readonly begin: number;
  readonly run: number;
  readonly wait?: number;
  readonly name?: string;
  readonly host?: number;
  readonly args?: object;
}

/** A trace of these tasks, on so many workers, as `pool.trace` would write it. */
function totalsOf(
  workers: number,
  tasks: readonly Task[],
  { hosts = 1, isEnded = true } = {},
): Totals {
  const totals = new Totals();
  const meta = (name: string, pid: number, tid: number, shown: string) =>
    totals.add({ name, ph: "M", pid, tid, args: { name: shown } });
  const pidOf = (worker: number) => 2 + (worker % hosts);
  totals.add({
    name: "bsync trace from 2026-01-01T00:00:00Z",
    ph: "i",
    s: "g",
    ts: 0,
    pid: 1,
    tid: 0,
  });
  for (let host = 0; host < hosts; host++) meta("process_name", 2 + host, 0, `host n${host}`);
  for (let i = 0; i < workers; i++) meta("thread_name", pidOf(i), (i + 1) * 1000, `worker ${i}`);
  let end = 0;
  for (const [i, { worker, begin, run, wait = 0, name = "f", args }] of tasks.entries()) {
    end = Math.max(end, begin + run);
    totals.add({
      ...{ name, cat: "task", ph: "X", ts: begin * 1000, dur: run * 1000 },
      ...{ pid: pidOf(worker), tid: (worker + 1) * 1000 },
      args: { task: i + 1, ...(wait > 0 ? { wait_ms: wait } : {}), ...args },
    });
  }
  if (isEnded) totals.add({ name: "the end", ph: "i", s: "g", ts: end * 1000, pid: 1, tid: 0 });
  return totals;
}

/** `each` tasks on each worker, one after another, of which `gap` ms lie between. */
function row(workers: number, each: number, run: (worker: number, i: number) => number, gap = 0) {
  const tasks: Task[] = [];
  for (let worker = 0; worker < workers; worker++) {
    let at = 0;
    for (let i = 0; i < each; i++) {
      tasks.push({ worker, begin: at, run: run(worker, i), wait: at });
      at += run(worker, i) + gap;
    }
  }
  return tasks;
}

function kinds(totals: Totals): string[] {
  return verdictsOf(factsOf(totals), (key) => `«${key}»`).map(({ kind }) => kind);
}

function textOf(totals: Totals, kind: string): string {
  const verdicts = verdictsOf(factsOf(totals), (key) => `«${key}»`);
  return verdicts.find((one) => one.kind === kind)!.text;
}

describe("verdicts", () => {
  test("workers that were busy all the time", () => {
    const totals = totalsOf(
      4,
      row(4, 50, () => 20, 0.1),
    );
    expect(kinds(totals)).toEqual(["balanced"]);
    const { spent } = factsOf(totals);
    expect(spent.busy / spent.all).toBeGreaterThan(0.98);
  });

  test("fewer tasks than workers", () => {
    const totals = totalsOf(
      8,
      row(3, 1, () => 100),
    );
    expect(kinds(totals)).toEqual(["few tasks"]);
    expect(textOf(totals, "few tasks")).toContain("3 tasks for 8 workers: 5 of these had none");
  });

  test("too few at a time: bursts, between which all wait for one", () => {
    const tasks: Task[] = [];
    for (let burst = 0; burst < 20; burst++) {
      for (const worker of [0, 1, 2, 3]) {
        tasks.push({ worker, begin: burst * 100, run: worker === burst % 4 ? 90 : 20 });
      }
    }
    expect(kinds(totalsOf(4, tasks))[0]).toBe("few tasks");
  });

  test("short tasks", () => {
    const totals = totalsOf(
      2,
      row(2, 2_000, () => 0.005, 0.02),
    );
    expect(kinds(totals)).toEqual(["short tasks"]);
    expect(textOf(totals, "short tasks")).toMatch(/ran 5\.0\d µs in the mean/);
  });

  test("short tasks that were merged: the counter tells that others waited", () => {
    const totals = totalsOf(1, [], { isEnded: false });
    const counter = (ts: number, queued: number) =>
      totals.add({ name: "queued tasks", ph: "C", ts, pid: 1, tid: 0, args: { queued } });
    for (let i = 0; i < 100; i++) {
      const args = { first: i * 1000, tasks: 1000, run_ms: 1 };
      const head = { name: "f ×1000", cat: "task", ph: "X", pid: 2, tid: 1000, args };
      totals.add({ ...head, ts: i * 10_000, dur: 9_500 });
      counter(i * 10_000 + 9_000, 1e6 - i * 1000);
    }
    expect(kinds(totals)).toEqual(["short tasks"]);
    expect(totals.tasks).toBe(100_000);
    expect([...totals.functions.keys()]).toEqual(["f"]);
  });

  test("a long tail: one call that began late", () => {
    const tasks = row(4, 20, () => 10);
    const totals = totalsOf(4, [...tasks, { worker: 2, begin: 200, run: 150, wait: 200 }]);
    expect(kinds(totals)).toEqual(["long tail"]);
    expect(textOf(totals, "long tail")).toMatch(/f \(task 81\) on «2:3000»: it ran 150 ms/);
  });

  test("a trace that was cut off has no tail", () => {
    const tasks = [...row(4, 20, () => 10), { worker: 2, begin: 200, run: 150, wait: 200 }];
    expect(kinds(totalsOf(4, tasks, { isEnded: false }))).not.toContain("long tail");
  });

  test("one slow worker, and not the one that had the long call", () => {
    const totals = totalsOf(
      4,
      row(
        4,
        40,
        (worker, i) => (worker === 3 ? 25 : 10) + (i % 3) + (worker === 1 && i === 5 ? 400 : 0),
      ),
    );
    expect(kinds(totals)).toContain("slow worker");
    expect(textOf(totals, "slow worker")).toMatch(/^«2:4000» took 2\.\d times as long .*40 tasks/);
  });

  test("a worker that had another function, or by chance longer calls, is not slow", () => {
    const tasks = row(4, 40, (worker) => (worker === 3 ? 40 : 10));
    const others = tasks.map((one) => ({ ...one, name: one.worker === 3 ? "g" : "f" }));
    expect(kinds(totalsOf(4, others))).not.toContain("slow worker");
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const wild = row(16, 12, () => 5 * Math.exp(3 * random()));
    expect(kinds(totalsOf(16, wild))).not.toContain("slow worker");
  });

  test("one slow host", () => {
    const tasks = row(6, 30, (worker, i) => (worker % 3 === 1 ? 20 : 10) + (i % 3));
    const totals = totalsOf(6, tasks, { hosts: 3 });
    expect(kinds(totals)).toContain("slow host");
    expect(kinds(totals)).not.toContain("slow worker");
    expect(textOf(totals, "slow host")).toMatch(/^«3» took 1\.\d times/);
  });

  test("workers that wait though tasks do", () => {
    const totals = totalsOf(
      2,
      row(2, 20, () => 30, 60),
    );
    expect(kinds(totals)).toEqual(["busy controller"]);
  });

  test("a pool that stood open, lost workers, failures", () => {
    const tasks = row(2, 20, () => 10).map((one) => ({ ...one, begin: one.begin + 500 }));
    const args = { state: "failed", error: "Error: no" };
    const totals = totalsOf(2, [...tasks.map((one) => ({ ...one, wait: 0, args }))]);
    totals.add({ name: "lost: killed", ph: "i", s: "t", ts: 700_000, pid: 2, tid: 1000 });
    expect(kinds(totals)).toEqual(["late start", "lost workers", "failures"]);
    expect(totals.failures.get("Error: no")?.count).toBe(40);
    expect(totals.losses).toEqual([{ worker: "2:1000", at: 700, why: "lost: killed" }]);
  });

  test("a worker that was there before the trace, lost and replaced, was there all the time", () => {
    const totals = totalsOf(
      2,
      row(2, 20, () => 10),
    );
    for (const [name, ts] of [
      ["lost: killed", 100_000],
      ["replaced: killed", 110_000],
      ["ready", 120_000],
    ] as const) {
      totals.add({ name, ph: "i", s: "t", ts, pid: 2, tid: 1000 });
    }
    const { ready, gone, run } = totals.workers.get("2:1000")!;
    expect([ready, gone]).toEqual([0, null]);
    expect(run).toBeLessThanOrEqual(totals.end);
  });

  test("tasks that were cancelled for one reason are one line, whatever their numbers", () => {
    const why = "was cancelled: its pool was terminated";
    const tasks = row(2, 3, () => 10).map((one, i) => {
      const error = `CancelledError: task ${i + 1} (f) ${why}`;
      return { ...one, args: { task: i + 1, state: "cancelled", error } };
    });
    const { failures } = totalsOf(2, tasks);
    expect([...failures.keys()]).toEqual([`cancelled: CancelledError: ${why}`]);
    expect(failures.values().next().value!.count).toBe(6);
  });

  test("no task at all", () => {
    expect(kinds(totalsOf(2, []))).toEqual(["no tasks"]);
    expect(textOf(totalsOf(2, [], { isEnded: false }), "no tasks")).toContain("cut off");
  });

  test("a task in pieces is one task, which waited once", () => {
    const totals = totalsOf(1, [
      { worker: 0, begin: 10, run: 20, wait: 5, args: { task: 1, state: "suspended" } },
      { worker: 0, begin: 30, run: 50, args: { task: 2 } },
      { worker: 0, begin: 80, run: 10, wait: 75, args: { task: 1 } },
    ]);
    expect([totals.tasks, totals.run.times.max, totals.run.times.min]).toEqual([2, 50, 30]);
    expect(totals.wait.times.max).toBe(5);
    expect(totals.final?.isPiece).toBeTrue();
  });
});

describe("the page", () => {
  function page(totals: Totals): string {
    const facts = factsOf(totals);
    const verdicts = verdictsOf(facts, (key) => key);
    return pageOf({ path: "/tmp/<b>.json", totals, facts, verdicts, remarks: [] });
  }

  test("is text, whatever the trace says, and loads nothing", () => {
    const evil = `</style><script>alert(1)</script><img src=x onerror="a()">'\0\ud800`;
    const args = { state: "failed", error: evil };
    const totals = totalsOf(2, [{ worker: 0, begin: 0, run: 5, name: evil, args }]);
    totals.add({ name: "process_name", ph: "M", pid: 2, tid: 0, args: { name: evil } });
    totals.add({
      name: "thread_name",
      ph: "M",
      pid: 2,
      tid: 1000,
      args: { name: `worker ${evil}` },
    });
    const html = page(totals);
    expect(html).toContain("&lt;script&gt;");
    expect(/<script|<img|<link|<b>\.json|src="|href=|url\(|@import|\0/.exec(html)).toBeNull();
    expect(html.replaceAll(/&[a-z#0-9]+;/g, "").match(/<[^>]* on\w+=/)).toBeNull();
    expect(html.isWellFormed()).toBeTrue();
  });

  test("is below 5 MB for many workers, long names and very many tasks", () => {
    const tasks: Task[] = [];
    for (let i = 0; i < 12_000; i++) {
      const args =
        i % 3 === 0 ? { state: "failed", error: `Error: <${i}> ${"<".repeat(300)}` } : {};
      const name = `${"&<".repeat(100)}${i % 500}`;
      tasks.push({ worker: i % 600, begin: i, run: 1 + (i % 97), name, args });
    }
    for (const workers of [600, 100]) {
      const own = tasks.map((task) => ({ ...task, worker: task.worker % workers }));
      const html = page(totalsOf(workers, own, { hosts: 20 }));
      expect(Buffer.byteLength(html)).toBeLessThan(5e6);
      expect(html.match(/<svg/g)).toHaveLength(6);
    }
  }, 30_000);

  test("of a trace without tasks has its numbers", () => {
    expect(page(totalsOf(2, []))).toContain("No task ended");
    expect(page(new Totals())).toContain("No task ended");
  });
});
