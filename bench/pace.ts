/**
 * A call after a silence, from none to a second: bsync in each mode beside Bun's IPC, piscina, and
 * the floor in C. Writes `docs/pace.svg`, and a table.
 *
 *   bun bench/pace.ts              200 samples of each silence, five minutes
 *   --samples 50                   fewer
 *   --only local,ipc               only what has one of these in its name
 *   --beside                       a busy process takes one of the cores meanwhile
 *   --svg FILE                     writes the plot there
 *
 * All of them run at the same time, and take turns: in their slots of a long silence (so each is as
 * long as the others' together), one after another in short ones. What spins for its whole life, as
 * MPI does in C, has a run of its own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findFamilies } from "./harness/machine.ts";
import { type Line, plot, table } from "./harness/pace-plot.ts";
import { findModes, LAUNCH_ENV, launch } from "./harness/plan.ts";
import { compileReferences, installPools } from "./harness/prepare.ts";
import { busyStrangers, endAll, endWithThis, measure, run } from "./harness/process.ts";
import { endOf, type Phase, schedule } from "./programs/paces.ts";

const { values: options } = parseArgs({
  options: {
    samples: { type: "string", default: "200" },
    only: { type: "string" },
    beside: { type: "boolean", default: false },
    svg: { type: "string", default: join(import.meta.dir, "../docs/pace.svg") },
  },
});
const samples = Number(options.samples);
if (!Number.isInteger(samples) || samples < 1) throw new RangeError("--samples 200, say");

/** Until all have started and are warm, in ms. */
const START_MS = 8_000;

/** A program, and what it is told of its phases. */
interface Contender {
  readonly who: string;
  command(phases: readonly Phase[]): readonly string[];
  /** It never sleeps: nothing else is measured beside it. */
  readonly spins?: true;
}

const isWanted = ({ who }: Contender): boolean =>
  options.only?.split(",").some((part) => who.toLowerCase().includes(part)) ?? true;

endWithThis();
const folder = mkdtempSync(join(tmpdir(), "bsync-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const families = await findFamilies();
await installPools(console.error);
const { compiled, absent } = await compileReferences(["pace"], families, folder, ["-DPACE_MPI"]);
const sockets = join(folder, "pace-sockets");
await run(["cc", "-O2", join(import.meta.dir, "references/pace.c"), "-o", sockets], {
  seconds: 60,
});

const bun = [process.execPath, "--no-install"];
const reference = (name: string): string => join(import.meta.dir, "references", name);
const inC = (phases: readonly Phase[]): string[] =>
  phases.flatMap(({ ms, samples, start, offset }) => [ms, samples, start, offset].map(String));

const all: Contender[] = [
  ...findModes(families).flatMap(({ who, command }) =>
    ["awaited", "getSync"].map((way) => ({
      who: `${who}, ${way}`,
      command: (phases: readonly Phase[]) => command(1, "pace.ts", way, JSON.stringify(phases)),
    })),
  ),
  {
    who: "Bun's IPC",
    command: (phases) => [...bun, reference("ipc.ts"), "pace", JSON.stringify(phases)],
  },
  {
    who: "piscina",
    command: (phases) => [...bun, reference("pools.ts"), "piscina", "pace", JSON.stringify(phases)],
  },
  { who: "C, a pair of sockets", command: (phases) => [sockets, ...inC(phases)] },
  ...families.flatMap((family) => {
    const program = compiled.get("pace")?.get(family.name);
    if (program === undefined) return [];
    const command = (phases: readonly Phase[]) => [...launch(family, 2), program, ...inC(phases)];
    return [{ who: `C, ${family.name}`, command, spins: true } as const];
  }),
];
const contenders = all.filter(isWanted);

const strangers = await busyStrangers();
if (strangers.length > 0) console.error(`not quiet: ${strangers.join(", ")}`);
for (const { who, reason } of absent) console.error(`${who}: ${reason}`);

const lines: Line[] = [];
const missing: string[] = [];

/** Runs some at the same time. */
async function sweep(together: readonly Contender[]): Promise<void> {
  if (together.length === 0) return;
  const phases = schedule(together.length, samples, Date.now() + START_MS);
  const seconds = (Math.max(...phases.map(endOf)) - Date.now()) / 1_000;
  console.error(`${together.map(({ who }) => who).join("; ")}: ${Math.ceil(seconds)} s`);
  const found = together.map(async ({ who, command }, i) => {
    const limits = { seconds: 2 * seconds + 20, env: LAUNCH_ENV };
    const outcome = await measure(command(phases[i]!), limits);
    if ("found" in outcome) lines.push({ who, times: outcome.found });
    else missing.push(`${who}: ${"missing" in outcome ? outcome.missing : outcome.failed}`);
  });
  await Promise.all(found);
}

const busy = options.beside
  ? Bun.spawn([process.execPath, "-e", "for (;;);"], { stdio: ["ignore", "ignore", "ignore"] })
  : null;
try {
  await sweep(contenders.filter(({ spins }) => spins !== true));
  for (const contender of contenders.filter(({ spins }) => spins)) await sweep([contender]);
} finally {
  busy?.kill();
}
lines.sort((a, b) => rankOf(a) - rankOf(b));
console.log(table(lines));
for (const line of missing) console.log(line);
await Bun.write(options.svg, plot(lines));
console.log(`\n${options.svg}`);
const left = endAll();
if (left > 0) console.log(`${left} processes were left over, and ended`);
process.exit(left > 0 || missing.length > 0 ? 1 : 0);

function rankOf({ who }: Line): number {
  return contenders.findIndex((contender) => contender.who === who);
}
