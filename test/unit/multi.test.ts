import { describe, expect, test } from "bun:test";
import { Batches } from "../../src/cli/multi/batches.ts";
import { FarmError } from "../../src/cli/multi/errors.ts";
import type { FarmJob } from "../../src/cli/multi/farm-job.ts";
import { Failures } from "../../src/cli/multi/failures.ts";
import { exitCodeFor, haltPolicy, verdict } from "../../src/cli/multi/halt.ts";
import type { JobResult } from "../../src/cli/multi/job-result.ts";
import { entriesOf, hashesOf, hashOf, logLine } from "../../src/cli/multi/joblog.ts";
import { Ordering } from "../../src/cli/multi/ordering.ts";
import { Tagger } from "../../src/cli/multi/printer.ts";
import { barLine, isDue, progressLine } from "../../src/cli/multi/progress.ts";
import { quoted } from "../../src/cli/multi/quoting.ts";
import { bytesOfText } from "../../src/cli/multi/raw-text.ts";
import { resultFiles } from "../../src/cli/multi/results.ts";
import { isLeftOut } from "../../src/cli/multi/resume.ts";
import { Slots } from "../../src/cli/multi/slots.ts";
import {
  argumentLists,
  combined,
  countCombined,
  piecesOf,
  type Source,
  sourcesOf,
} from "../../src/cli/multi/sources.ts";
import { Template, TextTemplate } from "../../src/cli/multi/template.ts";
import { TimeLimit } from "../../src/cli/multi/time-limit.ts";
import { clock, jobsAtOnce, milliseconds } from "../../src/cli/multi/units.ts";
import { splitWords } from "../../src/cli/multi/words.ts";

function job(sequence: number, ...values: string[]): FarmJob {
  return { sequence, values, hash: "", tries: 1, slot: 1, line: `echo ${values.join(" ")}` };
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const RESULT: JobResult = {
  host: "here",
  start: 1_234,
  runTime: 32,
  exit: 0,
  signal: 0,
  isLate: false,
  refusal: null,
  sizes: [3, 0],
  outputs: [null, null],
  lastWords: "",
};

describe("numbers with units", () => {
  test("times", () => {
    const times = ["1", "1.5", ".5", "90s", "1h30m", "2D", "x", "1x", "", "-1"];
    expect(times.map(milliseconds)).toEqual([
      1_000,
      1_500,
      500,
      90_000,
      5_400_000,
      172_800_000,
      ...[null, null, null, null],
    ]);
  });

  test("jobs at once, of four cores", () => {
    const texts = ["3", "50%", "+2", "-1", "-9", "0", "x", "1%"];
    expect(texts.map((text) => jobsAtOnce(text, 4))).toEqual([3, 2, 6, 3, 1, 250, null, 1]);
  });

  test("clocks", () => {
    expect([7_000, 754_000, 11_045_000].map(clock)).toEqual(["0:07", "12:34", "3:04:05"]);
  });
});

describe("templates", () => {
  const values = { sequence: 7, slot: 2, values: ["a b/c.d", "x'y"] };

  test("a command without a shell's characters is started as words", () => {
    const template = new Template(["gzip", "-9", "{}", "{#}{%}-{1/.}"]);
    expect(template.words(values)).toEqual(["gzip", "-9", "a b/c.d", "x'y", "72-c"]);
    expect(template.line(values)).toBe(`gzip -9 'a b/c.d' 'x'"'"'y' 72-c`);
  });

  test("any other is the shell's", () => {
    for (const words of [["a|b"], ["a", "$b"], ["a b"], ["a=1", "b"], ["a", "*"], ["{}", "b"]]) {
      expect(new Template(words).words(values)).toBeNull();
    }
  });

  test("quoted words are no shell's", () => {
    const template = new Template(["echo", "a  b", "", "$x{2}"], { isQuoted: true });
    expect(template.words(values)).toBeNull();
    expect(template.line(values)).toBe(`echo 'a  b' '' '$x''x'"'"'y'`);
    const full = new Template(["echo", "a  b", "$x{2}"], { isQuoted: true });
    expect(full.words(values)).toEqual(["echo", "a  b", "$xx'y"]);
  });

  test("a place without a value gives no word by itself", () => {
    expect(new Template(["echo", "{3}", "-{3}"]).words(values)).toEqual(["echo", "-"]);
  });

  test("texts are not quoted", () => {
    expect(new TextTemplate("{#}/{2}").text(values)).toBe("7/x'y");
    expect([new TextTemplate("a{b}").isVaried, new TextTemplate("{.}").isVaried]).toEqual([
      false,
      true,
    ]);
  });

  test("quoting", () => {
    expect(["", "a-b_c./+", "a b", "'", "a'b", "ü", "a\nb"].map(quoted)).toEqual([
      "''",
      "a-b_c./+",
      "'a b'",
      `"'"`,
      `'a'"'"'b'`,
      "'ü'",
      "'a\nb'",
    ]);
  });
});

describe("input", () => {
  const options = { delimiter: "\n", columns: null };
  const read = (...words: string[]): Source[] => sourcesOf(splitWords(words).sources, options);

  test("is split into the command and its sources", () => {
    expect(splitWords(["a", "{}", ":::", "b", ":::+", "::::", "c"])).toEqual({
      command: ["a", "{}"],
      sources: [
        { kind: "values", words: ["b"], isLinked: false },
        { kind: "values", words: [], isLinked: true },
        { kind: "file", words: ["c"], isLinked: false },
      ],
    });
  });

  test("is counted without being read", () => {
    const count = (linked: boolean, ...words: string[]) => countCombined(read(...words), linked);
    expect(count(false, ":::", "a", "[1-400]", ":::", "x", "y")).toBe(802);
    expect(count(false, ":::", "a", "b", ":::+", "x", ":::", "1", "2")).toBe(2);
    expect(count(true, ":::", "a", "b", ":::", "x")).toBe(2);
    expect(count(false, ":::", "a", "::::", "file")).toBeNull();
  });

  test("is read no further than asked", async () => {
    let taken = 0;
    const endless: Source = {
      count: null,
      isLinked: false,
      async *read() {
        for (;;) yield [String(++taken)];
      },
    };
    const lists = argumentLists(combined([endless, ...read(":::", "a", "b")], false), {
      each: 2,
      skipsEmpty: false,
      isShuffled: false,
    });
    expect((await lists.next()).value).toEqual(["1", "a", "1", "b"]);
    await lists.return(undefined);
    expect(taken).toBe(1);
  });

  test("lines may be torn by chunks, also within a letter", async () => {
    const bytes = new TextEncoder().encode("aü\nb\n\nc");
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = (async function* () {
        for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
      })();
      expect(await Array.fromAsync(piecesOf(chunks, "\n"))).toEqual(["aü", "b", "", "c"]);
    }
  });

  test("delimiters may be torn, and overlap; bytes that are no UTF-8 stay", async () => {
    for (const [text, delimiter] of [
      ["a--b---c--", "--"],
      ["aaa", "aa"],
      ["é§x§§ü", "§"],
    ] as const) {
      const bytes = new TextEncoder().encode(text);
      const wanted = text.split(delimiter);
      if (wanted.at(-1) === "") wanted.pop();
      for (let cut = 0; cut <= bytes.length; cut++) {
        const chunks = [
          bytes.slice(0, cut),
          ...Array.from(bytes.slice(cut), (b) => Uint8Array.of(b)),
        ];
        expect(await Array.fromAsync(piecesOf(asyncOf(chunks), delimiter))).toEqual(wanted);
      }
    }
    const odd = Buffer.from("61ff62c3a9c3edb28020e28220f09f98800ac3", "hex");
    const [first, last] = await Array.fromAsync(piecesOf(asyncOf([odd]), "\n"));
    expect(first).toBe("a\udcffbé\udcc3\udced\udcb2\udc80 \udce2\udc82 😀");
    expect(Buffer.from(bytesOfText(`${first}\n${last}`)).toString("hex")).toBe(odd.toString("hex"));
  });

  test("a long line is one value", async () => {
    const chunk = new Uint8Array(1 << 16).fill(97);
    const chunks = (async function* () {
      for (let i = 0; i < 64; i++) yield chunk;
    })();
    const [line] = await Array.fromAsync(piecesOf(chunks, "\n"));
    expect(line?.length).toBe(1 << 22);
  });
});

describe("when a farm halts", () => {
  const met = (text: string, failed: number, succeeded: number, status: number, total = 10) =>
    verdict(haltPolicy(text)!, { failed, succeeded }, status, total)?.exitCode ?? null;

  test("policies", () => {
    expect(haltPolicy("soon,fail=3%")).toEqual({
      when: "soon",
      what: "fail",
      value: 3,
      isPercentage: true,
    });
    expect([haltPolicy("never"), haltPolicy("2")?.when]).toEqual([null, "now"]);
    for (const text of ["", "now", "now,fail", "now,fail=0", "soon,fail=101%", "3"]) {
      expect(haltPolicy(text)).toBeUndefined();
    }
  });

  test("numbers, percentages, and the codes that come of them", () => {
    expect(met("now,fail=1", 1, 3, 7)).toBe(7);
    expect(met("now,fail=2", 2, 3, 7)).toBe(2);
    expect(met("now,fail=2", 1, 3, 7)).toBeNull();
    expect(met("now,success=1", 4, 1, 0)).toBe(0);
    expect(met("soon,done=3", 1, 2, 0)).toBe(1);
    expect(met("soon,fail=30%", 3, 0, 1)).toBe(30);
    expect(met("soon,fail=30%", 2, 5, 1)).toBeNull();
    expect([0, 1, 100, 101, 150].map(exitCodeFor)).toEqual([0, 1, 100, 101, 101]);
  });
});

describe("the log", () => {
  test("has GNU parallel's columns", () => {
    const line = logLine({ ...job(3), line: "a\nb" }, RESULT, ":");
    expect(line).toBe("3\t:\t1.234\t     0.032\t0\t3\t0\t0\ta\0b\n");
  });

  test("is read back; its last line for a job counts, and one that is torn does not", () => {
    const text = [
      "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand",
      "1\t:\t1\t2\t0\t0\t1\t0\techo a",
      "2\t:\t1\t2\t0\t0\t0\t9\techo\tb\0c",
      "1\t:\t1\t2\t0\t0\t0\t0\techo a",
      "3\t:\t1\t2\t0\t0\t0\t0\tech",
    ].join("\n");
    expect([...entriesOf(text).values()]).toEqual([
      { sequence: 1, hasFailed: false, line: "echo a" },
      { sequence: 2, hasFailed: true, line: "echo\tb\nc" },
    ]);
    expect([...hashesOf("1\tab\n2\tcd\n3\te")]).toEqual([
      [1, "ab"],
      [2, "cd"],
    ]);
  });

  test("hashes tell commands and values apart", () => {
    const hashes = [hashOf(["a"], ["b"]), hashOf(["a", "b"], []), hashOf(["a"], ["c"])];
    expect(new Set(hashes).size).toBe(3);
    expect(hashOf(["a"], ["b"])).toBe(hashes[0]!);
  });

  test("what it has is left out, unless it is of another job", () => {
    const entries = entriesOf("1\t:\t1\t2\t0\t0\t0\t0\ta\n2\t:\t1\t2\t0\t0\t1\t0\tb\n");
    const known = { entries, hashes: new Map([[1, "aa"]]), path: "log" };
    const rules = { againFailed: false, accepts: false };
    const left = (sequence: number, hash: string, line: string, more = {}) =>
      isLeftOut({ sequence, hash, line }, known, { ...rules, ...more });
    expect(left(1, "aa", "a")).toBeTrue();
    expect(left(3, "cc", "c")).toBeFalse();
    expect(left(2, "bb", "b")).toBeTrue();
    expect(left(2, "bb", "b", { againFailed: true })).toBeFalse();
    expect(() => left(1, "ab", "x")).toThrow(FarmError);
    expect(() => left(2, "bb", "x")).toThrow("its job 2 was `b`, and now is `x`");
    expect(left(1, "ab", "x", { accepts: true })).toBeTrue();
  });
});

describe("outputs", () => {
  test("come in the order of ends, or of starts", () => {
    const free = new Ordering<number>(false);
    free.begin(1);
    expect([...free.end(2)]).toEqual([2]);
    const kept = new Ordering<number>(true);
    for (const item of [1, 2, 3, 4]) kept.begin(item);
    expect([...kept.end(2)]).toEqual([]);
    expect([...kept.end(1)]).toEqual([1, 2]);
    expect([...kept.end(4)]).toEqual([]);
    expect(kept.front).toBe(3);
    expect([...kept.drop(3)]).toEqual([4]);
  });

  test("have a tag before each line, however they are cut", () => {
    const text = "a\n\nbc\nd";
    for (let cut = 0; cut <= text.length; cut++) {
      const tagger = new Tagger("t\t");
      const parts = [text.slice(0, cut), text.slice(cut)];
      const bytes = parts.map((part) => tagger.tagged(new TextEncoder().encode(part)));
      expect(Buffer.concat(bytes).toString()).toBe("t\ta\nt\t\nt\tbc\nt\td");
    }
  });

  test("go to files of GNU parallel's names", () => {
    expect(resultFiles("r", job(1, "a/b", "c"))).toEqual({
      stdout: "r/1/a\\_b/2/c/stdout",
      stderr: "r/1/a\\_b/2/c/stderr",
      sequence: "r/1/a\\_b/2/c/seq",
    });
    expect(resultFiles("r/{#}", job(4, "a")).stderr).toBe("r/4.err");
    expect(resultFiles("r/{1}/", job(4, "a")).sequence).toBe("r/a/seq");
    // No name may have more than 255 bytes.
    const long = ["é".repeat(200), `${"é".repeat(200)}x`];
    const names = long.map((one) => resultFiles("r", job(1, one)).stdout.split("/")[2]!);
    expect(names[0]).not.toBe(names[1]!);
    for (const name of names) expect(name).toMatch(/^é{117}\.[0-9a-f]{16}$/);
  });
});

describe("places, batches, limits", () => {
  test("the lowest free place is taken", () => {
    const slots = new Slots(3);
    expect([slots.take(), slots.take(), slots.take(), slots.isFree]).toEqual([1, 2, 3, false]);
    slots.give(2);
    slots.give(1);
    expect([slots.take(), slots.taken]).toEqual([1, 2]);
  });

  test("short jobs go together, long ones and the last ones alone", () => {
    const batches = new Batches(true, 2);
    expect(batches.size(null)).toBe(1);
    batches.add(2);
    expect([batches.size(null), batches.size(12), batches.size(2)]).toEqual([10, 3, 1]);
    batches.add(1_000);
    expect(batches.size(null)).toBe(1);
    const single = new Batches(false, 2);
    single.add(1);
    expect(single.size(null)).toBe(1);
  });

  test("a limit may be a share of the median", () => {
    const limit = new TimeLimit({ ms: null, percent: 200 });
    for (const time of [30, 10]) limit.add(time);
    expect(limit.ms()).toBe(0);
    limit.add(20);
    expect(limit.ms()).toBe(40);
    expect([new TimeLimit({ ms: 5, percent: null }).ms(), new TimeLimit(null).ms()]).toEqual([
      5, 0,
    ]);
  });
});

describe("what people are told", () => {
  test("how far it is", () => {
    const counts = { done: 50, failed: 2, running: 4, total: 100 };
    expect(progressLine(counts, 10_000)).toBe("50 of 100, 2 failed, 4 running, 5.0/s, 0:10 left");
    expect(barLine(counts, 10_000)).toStartWith(`[${"#".repeat(15)}${" ".repeat(15)}] 50 of`);
    expect(progressLine({ ...counts, total: null }, 1_000)).toContain("50 done");
  });

  test("when a line is due where no terminal is", () => {
    const at = (done: number) => ({ done, failed: 0, running: 1, total: 1_000 });
    expect(isDue(at(10), at(0), 9_999)).toBeFalse();
    expect(isDue(at(10), at(0), 10_000)).toBeTrue();
    expect(isDue(at(11), at(10), 10_000)).toBeFalse();
    expect(isDue(at(11), at(10), 60_000)).toBeTrue();
    expect(isDue(at(1_000), at(990), 0)).toBeTrue();
  });

  test("which jobs failed, and why", () => {
    const failures = new Failures();
    expect(failures.text(3)).toBe("");
    failures.add({ sequence: 2, line: "cc x", how: "exit code 1", lastWords: "a\nb\nc\nd\n" });
    expect(failures.text(3)).toBe(
      "bsync multi: 1 of 3 jobs failed\n  job 2: exit code 1: cc x\n" +
        "    | b\n    | c\n    | d\n",
    );
    for (let i = 0; i < 30; i++) failures.add({ sequence: i, line: "x", how: "y", lastWords: "" });
    expect(failures.text(99)).toContain("  and 11 more; --joblog lists all of them\n");
  });
});
