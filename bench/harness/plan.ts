/** Who runs what: every program of a round, in turn. */
import { cpus } from "node:os";
import { join } from "node:path";
import { SLOTS } from "../programs/silence.ts";
import type { QuantityId } from "./lines.ts";
import type { Family } from "./machine.ts";
import type { Compiled } from "./prepare.ts";
import type { Environment } from "./process.ts";

const PROGRAMS = join(import.meta.dir, "../programs");
const REFERENCES = join(import.meta.dir, "../references");
/** Past this a program has hung: none takes a third of it. */
const SECONDS = 40;

const IPC = "Bun's IPC";

/** A program in one of its settings, and what the numbers that it prints stand for. */
export interface Job {
  readonly who: string;
  /** Jobs of one name are run, or left out, together. */
  readonly name: string;
  readonly command: readonly string[];
  readonly seconds: number;
  readonly yields: Readonly<Record<string, QuantityId | readonly QuantityId[]>>;
  /** It has its rounds in itself, since it takes long to start. */
  readonly once?: true;
}

/** Jobs to run at the same time: more than one only if they sleep nearly all the time. */
export type Step = readonly Job[];

/** A way to start bsync. */
export interface Mode {
  readonly who: string;
  command(workers: number, program: string, ...args: string[]): readonly string[];
}

export interface Machine {
  readonly families: readonly Family[];
  readonly python: string | null;
  readonly compiled: Compiled;
}

/** What Open MPI wants to hear from root; the others do not read it. */
export const LAUNCH_ENV: Environment =
  process.getuid?.() === 0
    ? { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" }
    : {};

/** The command that starts so many ranks. */
export function launch(family: Family, ranks: number): readonly string[] {
  const crowded = family.id === "openmpi" && ranks > cpus().length;
  return [family.launcher!, ...(crowded ? ["--oversubscribe"] : []), "-n", String(ranks)];
}

const bun = [process.execPath, "--no-install"] as const;

export function findModes(families: readonly Family[]): Mode[] {
  const local: Mode = {
    who: "bsync, local",
    command: (_workers, program, ...args) => [...bun, join(PROGRAMS, program), ...args],
  };
  const present = families.filter((family) => family.launcher !== null);
  const mpi = present.map((family) => ({
    who: `bsync, ${family.name}`,
    command: (workers: number, program: string, ...args: string[]) => [
      ...launch(family, workers + 1),
      ...bun,
      join(PROGRAMS, program),
      ...args,
    ],
  }));
  return [local, ...mpi];
}

export function planRound(modes: readonly Mode[], machine: Machine): Step[] {
  /** The same program in every mode; `args` may depend on the place of the mode. */
  const each = (
    program: string,
    yields: Job["yields"],
    { args = [], name = program }: { args?: readonly string[]; name?: string } = {},
  ): Step[] =>
    modes.map(({ who, command }) => [
      { who, name, command: command(1, `${program}.ts`, ...args), seconds: SECONDS, yields },
    ]);
  /** The same, at the same time, each with its number. */
  const together = (program: string, yields: Job["yields"]): Step =>
    modes.map(({ who, command }, slot) => ({
      who,
      name: program,
      command: command(1, `${program}.ts`, String(slot)),
      seconds: SECONDS,
      yields,
    }));
  return [
    ...each("round-trip", { us: "trip", p99: "trip99" }),
    ...references(machine),
    ...comm(machine),
    ...each("bandwidth", { gbps: "large" }),
    ...each("share", { gbps: "share" }),
    ...broadcast(machine),
    ...each("rate", {
      us1000: "cost3",
      us10000: "cost4",
      us100000: "cost5",
      us1000000: "cost6",
      rate: "rate",
    }),
    ...each("rate", { rate: "ratePriorities" }, { args: ["priorities"], name: "priorities" }),
    ...each("nested", { one: "nestedOne", many: "nestedMany" }),
    ...each("map", { awaited: "mapRate", read: "mapRead" }),
    ...each("open", { ms: "open", mib: "size" }),
    // No time is taken there.
    together("memory", { heap: "heap", resident: "resident", left: "left" }),
    ...checkpoint(),
    ...each("interval", { late: ["late", "late99", "lateMost"], rate: "lateRate" }),
    // All of these sleep nearly all the time, and each is told of its own share only.
    [
      ...together("wake", { us: ["wake", "wake99"] }),
      {
        who: IPC,
        name: "wake",
        command: [...bun, join(REFERENCES, "ipc.ts"), String(SLOTS - 1)],
        seconds: SECONDS,
        yields: { us: ["wake", "wake99"] },
      },
      ...together("idle", {
        idleController: "idleController",
        idleWorker: "idleWorker",
        waitingController: "waitingController",
        waitingWorker: "waitingWorker",
      }),
    ],
  ];
}

/** What has many workers, or takes long, and so has its rounds within one job. */
export function planOnce(modes: readonly Mode[], machine: Machine): Step[] {
  const once = (
    program: string,
    workers: number,
    yields: Job["yields"],
    ...args: string[]
  ): Step[] =>
    modes.map(({ who, command }) => [
      {
        who,
        name: program,
        command: command(workers, `${program}.ts`, ...args),
        seconds: 90,
        yields,
        once: true,
      },
    ]);
  return [
    ...once("crowd", 16, { efficiency: "crowd", us: "cost16" }),
    ...once("map", 2, { uneven: "mapUneven", full: "mapFull" }, "balance"),
    ...mapReferences(machine),
    ...once("uneven", 4, {
      uneven: "uneven",
      growing: "unevenGrowing",
      bimodal: "unevenBimodal",
      first: "unevenFirst",
    }),
  ];
}

/** Maps of other pools: they look for their best chunk size, and so have their rounds in themselves. */
function mapReferences({ families, python }: Machine): Step[] {
  const jobs: Job[] = [];
  const add = (who: string, command: readonly string[], yields: Job["yields"]) =>
    jobs.push({ who, name: "map", command, seconds: SECONDS, yields, once: true });
  // Theirs are read one by one in any case.
  const rate = { rate: ["mapRate", "mapRead"] } as const;
  const balance = { uneven: "mapUneven", full: "mapFull" } as const;
  for (const family of families) {
    if (family.launcher === null || python === null) continue;
    const futures = [python, "-m", "mpi4py.futures", join(REFERENCES, "map-futures.py")];
    const who = `mpi4py.futures, ${family.name}`;
    add(who, [...launch(family, 2), ...futures], rate);
    add(who, [...launch(family, 3), ...futures], balance);
  }
  if (python !== null) {
    const processes = [python, join(REFERENCES, "map-processes.py")];
    add("multiprocessing.Pool", processes, { ...rate, ...balance });
  }
  const piscina = [...bun, join(REFERENCES, "map-piscina.ts")];
  add("piscina", piscina, { rate: "mapRate", ...balance });
  return jobs.map((job) => [job]);
}

/** Without a pool, and so without a mode: one process writes a file. */
function checkpoint(): Step[] {
  const job = (who: string, file: string, yields: Job["yields"]): Step => [
    { who, name: "checkpoint", command: [...bun, file], seconds: SECONDS, yields },
  ];
  return [
    job("bsync, local", join(PROGRAMS, "checkpoint.ts"), {
      place: "checkpoint",
      key: "checkpointKey",
    }),
    job("bun:sqlite, rows alone", join(REFERENCES, "sqlite.ts"), { rows: "checkpoint" }),
  ];
}

/** In C, to one other rank. */
function broadcast({ families, compiled }: Machine): Step[] {
  return families.flatMap((family) => {
    const inC = compiled.get("broadcast")?.get(family.name);
    if (family.launcher === null || inC === undefined) return [];
    const command = [...launch(family, 2), inC];
    const who = `C broadcast, ${family.name}`;
    return [[{ who, name: "share", command, seconds: SECONDS, yields: { gbps: "share" } }]];
  });
}

/** bsync/mpi and the same in C, in turn. */
function comm({ families, compiled }: Machine): Step[] {
  const steps: Step[] = [];
  for (const family of families) {
    const inC = compiled.get("comm")?.get(family.name);
    if (family.launcher === null || inC === undefined) continue;
    const sides: [who: string, program: readonly string[]][] = [
      [`bsync/mpi, ${family.name}`, [...bun, join(PROGRAMS, "comm.ts")]],
      [`C, ${family.name}`, [inC]],
    ];
    for (const ranks of [2, 4]) {
      for (const [who, program] of sides) {
        const command = [...launch(family, ranks), ...program];
        const yields: Job["yields"] =
          ranks === 2
            ? { us: "commTrip", gbps: "commLarge", call: "commCall" }
            : { us: "commReduce" };
        steps.push([{ who, name: "comm", command, seconds: SECONDS, yields }]);
      }
    }
  }
  return steps;
}

function references({ families, python, compiled }: Machine): Step[] {
  const jobs: Job[] = [];
  const add = (who: string, command: readonly string[], yields: Job["yields"]) =>
    jobs.push({ who, name: "references", command, seconds: SECONDS, yields });
  for (const family of families) {
    if (family.launcher === null) continue;
    const pingpong = compiled.get("pingpong")?.get(family.name);
    const pair = launch(family, 2);
    if (pingpong !== undefined) {
      add(`C ping-pong, ${family.name}`, [...pair, pingpong], {
        us: "trip",
        gbps: "large",
        ms: "open",
      });
    }
    if (python === null) continue;
    const futures = [python, "-m", "mpi4py.futures", join(REFERENCES, "futures.py")];
    add(`mpi4py.futures, ${family.name}`, [...pair, ...futures], { us: "trip", rate: "rate" });
  }
  if (python !== null) {
    add("multiprocessing.Pool", [python, join(REFERENCES, "processes.py")], {
      us: "trip",
      rate: "rate",
    });
  }
  add(IPC, [...bun, join(REFERENCES, "ipc.ts")], {
    us: "trip",
    p99: "trip99",
    gbps: "large",
  });
  for (const name of ["piscina", "tinypool", "workerpool", "poolifier"]) {
    add(name, [...bun, join(REFERENCES, "pools.ts"), name], {
      us: "trip",
      p99: "trip99",
      rate: "rate",
    });
  }
  return jobs.map((job) => [job]);
}
