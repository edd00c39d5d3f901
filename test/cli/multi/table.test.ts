import { describe, expect, test } from "bun:test";
import { FAMILIES } from "../../mpi/launch.ts";
import { lane } from "../../lane.ts";
import { ranks } from "../setup.ts";
import { BSYNC, GNU, play, shown } from "./play.ts";
import { type Line, TABLE } from "./table.ts";

/** Lines that go through all that differs on ranks: input, both outputs, order, ends. */
const ON_RANKS = [
  "two sources give all combinations, the last one varying fastest",
  "standard input is read where no source is named",
  "nor where a shell reads the command",
  "-k --line-buffer keeps the order",
  "101 failures",
  "an option that is not there",
  "a file that is not there",
  "--halt now,fail=1",
  "--timeout ends a job",
];

const LIMIT_MS = 120_000;

/** How many run at once: most of the time each waits. */
const AT_ONCE = 4;

/** What differs from what lines should give. */
async function differences(command: readonly string[], lines: readonly Line[]): Promise<unknown[]> {
  const wrong: unknown[] = [];
  const rest = [...lines];
  const next = async () => {
    for (let line = rest.shift(); line !== undefined; line = rest.shift()) {
      const { name, stderr, exitCode = 0 } = line;
      const got = await play(command, line);
      const isSame =
        shown(got.stdout, line) === shown(line.stdout, line) &&
        got.exitCode === exitCode &&
        (stderr ?? got.stderr) === got.stderr;
      if (!isSame) wrong.push({ name, got, wanted: { stdout: line.stdout, exitCode } });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return wrong;
}

test(
  "command lines give what they should",
  async () => {
    expect(await differences(BSYNC, TABLE)).toEqual([]);
  },
  LIMIT_MS,
);

describe("on ranks they give the same", () => {
  const lines = TABLE.filter(({ name }) => ON_RANKS.includes(name));

  test("those that are named are there", () => {
    expect(lines.map(({ name }) => name).sort()).toEqual([...ON_RANKS].sort());
  });

  for (const family of FAMILIES) {
    test(
      family,
      async () => {
        expect(await differences([...ranks(family, 3), ...BSYNC], lines)).toEqual([]);
      },
      LIMIT_MS,
    );
  }
});

/** The whole table takes it a minute. */
const isAsked = lane === "full" && Bun.which("parallel") !== null;

test(
  "GNU parallel gives the same, where it is installed",
  async () => {
    if (!isAsked) return;
    const lines = TABLE.filter(({ differs }) => differs === undefined);
    // It prints its help on standard output.
    const others = lines.filter(({ name }) => name !== "an option that is not there");
    expect(await differences(GNU, others)).toEqual([]);
  },
  LIMIT_MS,
);
