/** `bsync report` on traces of jobs that ran, and on files that are none. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { PNG } from "pngjs";
import { Job, type Launch } from "../contract/job.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import { run } from "../mpi/launch.ts";
import { bsync, folder, MAIN, ranks } from "./setup.ts";

const PROGRAM = join(import.meta.dir, "../contract/fixtures/watched.ts");
const END_MS = 20_000;
const TEST_MS = 60_000;

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

/** Runs the program, which leaves a trace. */
async function traced(launch: Launch, path: string): Promise<void> {
  await using job = new Job(launch, PROGRAM, { env: { BSYNC_TRACE: path } });
  await job.ended(END_MS);
  await job.leftNothing();
  expect(job.process.exitCode).toBe(0);
}

describe.each(launches)("$mode", (launch) => {
  const test = testsUnder(launch.mode);

  test(
    "the trace of a job becomes a page, whole and cut off",
    async () => {
      await using work = await folder();
      const path = join(work.path, "job.json.gz");
      await traced(launch, path);
      const whole = await bsync(["report", path]);
      expect([whole.exitCode, whole.stderr]).toEqual([0, ""]);
      expect(whole.stdout).toMatch(/^Tasks failed: 10 of 100 tasks failed \(10\.0 %\)/m);
      expect(whole.stdout).toEndWith(`Page: ${work.path}/job.html\n`);
      const html = readFileSync(join(work.path, "job.html"), "utf8");
      expect(html).toContain("<b>100</b>tasks ended");
      expect(html).toContain("<b>2</b>workers on 1 host");
      expect(html).toMatch(/RangeError: no \d7/);
      expect(html).not.toMatch(/<script|src="|href=/);

      const bytes = readFileSync(path);
      const cut = join(work.path, "cut");
      writeFileSync(cut, bytes.subarray(0, bytes.length - 40));
      const part = await bsync(["report", cut, "-o", join(work.path, "part.html")]);
      expect([part.exitCode, part.stderr]).toEqual([0, ""]);
      expect(part.stdout).toContain("The trace is cut off");
    },
    TEST_MS,
  );
});

for (const family of mpiFamilies()) {
  test(
    `under ${family} one rank speaks`,
    async () => {
      await using work = await folder();
      const path = join(work.path, "job.json");
      await traced({ mode: "local", ranks: 1 }, path);
      const { exitCode, stdout } = await bsync(["report", path], {}, ranks(family, 2));
      expect(exitCode).toBe(0);
      expect(stdout.match(/Page: /g)).toHaveLength(1);
    },
    TEST_MS,
  );
}

test(
  "a trace may come through a pipe, gzipped or not",
  async () => {
    await using work = await folder();
    const path = join(work.path, "job.json");
    await traced({ mode: "local", ranks: 1 }, path);
    const script = `"$@" report <(cat job.json) -o a.html; "$@" report <(gzip -c job.json) -o b.html`;
    const bun = [process.execPath, MAIN];
    const { stdout, stderr } = await run(["bash", "-c", `cd ${work.path}; ${script}`, "", ...bun]);
    expect([stderr, stdout.match(/^Page: .*/gm)]).toEqual(["", ["Page: a.html", "Page: b.html"]]);
    const pages = ["a", "b"].map((name) => readFileSync(join(work.path, `${name}.html`), "utf8"));
    expect(pages[0]).toContain("<b>100</b>tasks ended");
    expect(pages[1]).toContain("<b>100</b>tasks ended");
  },
  TEST_MS,
);

test(
  "a file that is no trace is told, and no page is made",
  async () => {
    await using work = await folder();
    const write = (name: string, bytes: string | Uint8Array) => {
      writeFileSync(join(work.path, name), bytes);
      return join(work.path, name);
    };
    const wanted = /; give a file that pool\.trace\(\) or BSYNC_TRACE wrote\n$/;
    const cases: [path: string, why: RegExp][] = [
      [join(work.path, "none.json"), /there is no such file or folder\n$/],
      [work.path, /it is a folder/],
      [write("empty.json", ""), /it is empty/],
      [write("empty.json.gz", gzipSync("")), /it is empty/],
      [
        write("text.json", "hello, this is a text"),
        /it is no trace: it does not begin with an array/,
      ],
      [write("numbers.json", "[1, 2, 3]"), /it is no trace of a pool/],
      [write("other.json", '[{"name":"x","ph":"X","ts":1,"dur":1,"pid":1,"tid":1}]'), /of a pool/],
      [
        write("random.json.gz", new Uint8Array([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9])),
        /it begins as gzip does, and is not/,
      ],
    ];
    for (const [path, why] of cases) {
      const { exitCode, stdout, stderr } = await bsync([
        "report",
        path,
        "-o",
        join(work.path, "x.html"),
      ]);
      expect([exitCode, stdout]).toEqual([1, ""]);
      expect(stderr).toStartWith(`bsync report: Cannot read ${path}: `);
      expect(stderr).toMatch(why);
      if (!stderr.includes("no such file")) expect(stderr).toMatch(wanted);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    }
    expect(existsSync(join(work.path, "x.html"))).toBeFalse();
  },
  TEST_MS,
);

test(
  "a page that cannot be written is told, and the trace is never written over",
  async () => {
    await using work = await folder();
    const path = join(work.path, "job.json");
    const line =
      '{"name":"bsync trace from 2026-01-01T00:00:00Z","ph":"i","s":"g","ts":0,"pid":1,"tid":0}';
    writeFileSync(path, `[\n${line}`);
    const cases: [page: string, why: string][] = [
      [join(work.path, "no/such/page.html"), "there is no such file or folder"],
      [work.path, "it is a folder"],
      [path, "it is the trace; give another path with -o"],
      ["/dev/full", "no space is left there"],
    ];
    for (const [page, why] of cases) {
      const { exitCode, stderr } = await bsync(["report", path, "-o", page]);
      expect([exitCode, stderr]).toEqual([1, `bsync report: Cannot write ${page}: ${why}\n`]);
    }
    expect(readFileSync(path, "utf8")).toBe(`[\n${line}`);
  },
  TEST_MS,
);

test(
  "--png draws the first screen, with letters whatever fonts are there",
  async () => {
    await using work = await folder();
    const path = join(work.path, "job.json");
    await traced({ mode: "local", ranks: 1 }, path);
    const [page, png] = ["page.html", "picture.png"].map((name) => join(work.path, name));
    const drawn = await bsync(["report", path, "-o", page!, "--png", png!]);
    expect([drawn.exitCode, drawn.stderr]).toEqual([0, ""]);
    expect(drawn.stdout).toEndWith(`Page: ${page}\nPicture: ${png}\n`);
    const picture = PNG.sync.read(readFileSync(png!));
    expect(picture.width).toBe(1_860);
    expect(picture.height).toBeGreaterThan(800);
    // The title and what is below it: without a font there would be nothing.
    expect(darkIn(picture, 36, 30, 600, 40)).toBeGreaterThan(500);
    expect(darkIn(picture, 36, 110, 1_700, 60)).toBeGreaterThan(500);
    // A margin is a margin.
    expect(darkIn(picture, 0, 0, 30, picture.height)).toBe(0);
    expect(darkIn(picture, 1_830, 0, 30, picture.height)).toBe(0);

    const cases: [png: string, why: string][] = [
      [join(work.path, "no/such.png"), "there is no such file or folder"],
      [path, "it is the trace; give another path with --png"],
      [page!, "it is the page; give another path with --png"],
    ];
    for (const [wrong, why] of cases) {
      const { exitCode, stderr } = await bsync(["report", path, "-o", page!, "--png", wrong]);
      expect([exitCode, stderr]).toEqual([1, `bsync report: Cannot draw ${wrong}: ${why}\n`]);
    }
    expect(readFileSync(page!, "utf8")).toStartWith("<!doctype html>");
    expect(readFileSync(path, "utf8")).toStartWith("[");
  },
  TEST_MS,
);

/** Points of a part of a picture that are darker than any of its boxes. */
function darkIn({ data, width }: PNG, left: number, top: number, wide: number, high: number) {
  let count = 0;
  for (let y = top; y < top + high; y++) {
    for (let x = left; x < left + wide; x++) {
      const at = 4 * (y * width + x);
      if (data[at]! + data[at + 1]! + data[at + 2]! < 500) count++;
    }
  }
  return count;
}

test("wrong words are refused with the options", async () => {
  for (const [words, why] of [
    [["report"], "missing required argument 'trace'"],
    [["report", "a.json", "b.json"], "too many arguments"],
    [["report", "a.json", "--svg", "x.svg"], "unknown option '--svg'"],
  ] as const) {
    const { exitCode, stderr } = await bsync([...words]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(why);
    expect(stderr).toContain("bsync report [options] <trace>");
  }
});
