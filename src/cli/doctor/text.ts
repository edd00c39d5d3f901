/** The report as text: a pure function of the report. */
import { basename } from "node:path";
import { familyName } from "../../mpi/shim/find-mpicc.ts";
import type { Style } from "../output.ts";
import type {
  CacheFacts,
  HostFacts,
  JobFacts,
  LaunchFacts,
  MpiFacts,
  PlaceFacts,
  Problem,
  RankFacts,
  Report,
} from "./report.ts";

export interface Printing extends Style {
  /** The home folder, written as "~". */
  readonly home: string;
}

/** Name and value; a row without a name continues the one before. */
type Row = readonly [name: string, value: string];

const NAME_WIDTH = 10;

/** Up to this many ranks have a line each; with more, hosts have. */
const MOST_LINES = 32;

/** The facts known before anything is tried. */
export type Preface = Pick<Report, "bsync" | "bun" | "machine" | "cache" | "settings">;

export function printedPreface(preface: Preface, printing: Printing): string {
  const { bsync, machine } = preface;
  const title = `${printing.paint("bold", `bsync ${bsync}`)} on ${machine.host}, ${machine.system}`;
  return block([title, "", ...rows(ofMachine(preface), printing)], printing);
}

export function printedMpi(mpi: MpiFacts, printing: Printing): string {
  return block([printing.paint("bold", title(mpi)), ...rows(ofMpi(mpi), printing)], printing);
}

/** The job, and the MPIs of the machine it runs on. */
export function printedJob(
  { job, mpis }: { job: JobFacts; mpis: readonly MpiFacts[] },
  printing: Printing,
): string {
  const here = ["MPI here", mpis.map(inShort).join(", ") || "none"] as const;
  const lines = [printing.paint("bold", jobTitle(job)), ...rows([...ofJob(job), here], printing)];
  return block(job.ranks.length > 0 ? [...lines, "", ...table(job)] : lines, printing);
}

/** The hosts of a launch, a line each. */
export function printedLaunch({ command, hosts }: LaunchFacts, printing: Printing): string {
  const title = printing.paint("bold", command);
  if (hosts.length === 0) return block([title, "  no host has answered"], printing);
  const head = ["host", "Bun", "program", "bsync", "binding"];
  return block([title, "", ...aligned([head, ...hosts.map(ofPlace)])], printing);
}

function ofPlace({ host, bun, folder, program, missing, bsync, mpi }: PlaceFacts): string[] {
  if (folder === null) return [host, "missing", "", "", ""];
  return [
    host,
    bun.version ?? "missing",
    program === null ? "" : `${basename(program.path)}${program.found ? "" : " missing"}`,
    bsync === null
      ? missing.includes("bsync")
        ? "missing"
        : ""
      : bsync.error === null
        ? bsync.version
        : "does not load",
    mpi === null ? "" : mpi.error === null ? "loads" : "missing",
  ];
}

export function printedProblems(problems: readonly Problem[], printing: Printing): string {
  const blocks = problems.map((problem) => block(ofProblem(problem, printing), printing));
  return blocks.join("") + block([verdict(problems, printing)], printing).trimEnd() + "\n";
}

/** Lines, followed by an empty line. */
function block(lines: readonly string[], { home }: Printing): string {
  return `${lines.join("\n").replaceAll(`${home}/`, "~/")}\n\n`;
}

function rows(list: readonly Row[], { paint }: Printing): string[] {
  const width = Math.max(NAME_WIDTH, ...list.map(([name]) => Bun.stringWidth(name)));
  return list.map(([name, value]) => `  ${paint("dim", name.padEnd(width))}  ${value}`);
}

function ofMachine({ bun, machine, cache, settings }: Preface): Row[] {
  const { cores, coresHere, memoryBytes, sharedMemory } = machine;
  const { folder, usable, freeBytes } = sharedMemory;
  const free = freeBytes === null ? "" : `, ${bytes(freeBytes)} free`;
  const current = cache.shims.filter((shim) => shim.current);
  return [
    ["Bun", `${bun.version}${bun.ok ? "" : ` (needs ${bun.required})`}, ${bun.path}`],
    ["cores", coresHere === cores ? String(cores) : `${cores}, ${coresHere} for this process`],
    ["memory", `${bytes(memoryBytes)}; ${folder} ${usable ? "usable" : "not usable"}${free}`],
    ["cache", `${cache.writable ?? "none that can be written to"}: ${inCache(cache)}`],
    ...current.map(({ path, family, state, bytes: size }): Row => {
      const name = path.slice(path.lastIndexOf("/") + 1);
      return ["", `${name} ${state}, ${familyName(family)}, ${bytes(size)}`];
    }),
    ...Object.entries(settings).map(([name, value]): Row => ["setting", `${name}=${value}`]),
  ];
}

/** The present content of the cache: it does not show whether another program uses a binding. */
function inCache({ shims, others }: CacheFacts): string {
  const current = shims.filter((shim) => shim.current).length;
  const rest = shims.filter((shim) => !shim.current);
  const size = rest.reduce((sum, shim) => sum + shim.bytes, 0);
  const parts = [current === 1 ? "one binding" : `${current || "no"} bindings`];
  if (rest.length > 0) {
    const whose = "for other versions of bsync, or MPIs that are not found here";
    parts.push(`${rest.length} ${whose} (${bytes(size)})`);
  }
  if (others.count > 0) parts.push(`${others.count} other files (${bytes(others.bytes)})`);
  return parts.join(", ");
}

function title({ family, version }: MpiFacts): string {
  return `${familyName(family)}${version === null ? "" : ` ${version}`}`;
}

function inShort(mpi: MpiFacts): string {
  return `${title(mpi)} (${mpi.mpirun?.path ?? "no mpirun"})`;
}

function ofMpi({ mpirun, mpicc, trial, version }: MpiFacts): Row[] {
  const list: Row[] = [["mpirun", mpirun === null ? "none" : mpirun.path]];
  if (mpicc === null) {
    list.push(["mpicc", "none"]);
  } else {
    const other =
      mpicc.version !== null && mpicc.version !== version ? `, for ${mpicc.version}` : "";
    const behind = mpicc.compiler === "" ? "" : ` (${mpicc.compiler}${other})`;
    const state = mpicc.error === null ? "" : ": fails";
    list.push(["mpicc", `${mpicc.path}${behind}${state}`]);
  }
  if (trial === null) return list;
  const { job, failure } = trial;
  if (job === null)
    return [...list, ["a job of 2", failure === null ? "" : "could not be started"]];
  if (job.error !== null) return [...list, ["a job of 2", "has no MPI"]];
  const pings = job.ranks.flatMap(({ pingUs }) => pingUs ?? []);
  const ping = pings.length === 0 ? "no answer" : `round trip ${pings.join(", ")} µs`;
  return [
    ...list,
    ["a job of 2", `${ping}, ${transportName(job)}, ${job.hosts.map(cores).join("; ")}`],
  ];
}

function transportName({ transport }: JobFacts): string {
  return transport === null || transport.name === "unknown" ? "transport unknown" : transport.name;
}

function cores({ ranks, coresOfRanks, quota, bound, oversubscribed }: HostFacts): string {
  const each = coresOfRanks / ranks;
  const share = oversubscribed
    ? `${coresOfRanks} ${coresOfRanks === 1 ? "core" : "cores"} for all: oversubscribed`
    : `${Number.isInteger(each) ? each : each.toFixed(1)} core${each === 1 ? "" : "s"} a rank`;
  const limit = quota === null ? "" : `, limited to ${quota}`;
  return `${share}, ${bound ? "bound" : "not bound"}${limit}`;
}

function jobTitle({ launcher, size }: JobFacts): string {
  const ranks = size === 0 ? "A job" : `${size} ${size === 1 ? "rank" : "ranks"}`;
  return `${ranks} started by ${launcher.name}`;
}

function ofJob(job: JobFacts): Row[] {
  const { launcher, library, shim, mpicc, hosts, error, silent } = job;
  const list: Row[] = [["mpicc", mpicc === null ? "none" : mpicc.path]];
  if (error !== null) return [...list, ["MPI", "could not be started"]];
  const matches = launcher.family === "unknown" ? "" : ", matches the launcher";
  list.push(["binding", `${shim}${matches}`], ["library", library ?? ""]);
  list.push(["transport", transportName(job)]);
  for (const host of hosts) {
    const count = `${host.ranks} ${host.ranks === 1 ? "rank" : "ranks"}`;
    list.push([host.host, `${count}, ${cores(host)}`]);
  }
  for (const { rank, host } of silent) list.push([`rank ${rank}`, `on ${host}, is silent`]);
  return list;
}

/** A line for each rank or, if there are many, for each host. */
function table({ ranks, hosts }: JobFacts): string[] {
  if (ranks.length <= MOST_LINES) {
    const head = ["rank", "host", "pid", "cores", "round trip"];
    return aligned([
      head,
      ...ranks.map((rank) => [
        String(rank.rank),
        rank.host,
        String(rank.pid),
        rank.affinity,
        rank.pingUs === null ? "" : `${rank.pingUs} µs`,
      ]),
    ]);
  }
  return aligned([["host", "ranks", "round trip"], ...hosts.map((host) => ofHost(host, ranks))]);
}

function ofHost({ host, ranks: count }: HostFacts, ranks: readonly RankFacts[]): string[] {
  const pings = ranks
    .filter((rank) => rank.host === host)
    .flatMap(({ pingUs }) => pingUs ?? [])
    .sort((a, b) => a - b);
  const range = pings.length === 0 ? "" : `${pings[0]} to ${pings.at(-1)} µs`;
  return [host, String(count), range];
}

/** Columns as wide as their content; numbers are aligned to the right. */
function aligned(lines: readonly string[][]): string[] {
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => Bun.stringWidth(line[column]!))),
  );
  const isNumber = lines[0]!.map((_, column) =>
    lines.slice(1).every((line) => /^(?:[\d.]+(?: µs)?)?$/.test(line[column]!)),
  );
  return lines.map((line) => {
    const cells = line.map((cell, column) => {
      const space = " ".repeat(widths[column]! - Bun.stringWidth(cell));
      return isNumber[column] ? space + cell : cell + space;
    });
    return `  ${cells.join("  ")}`.trimEnd();
  });
}

function ofProblem({ level, code, text }: Problem, { paint, width }: Printing): string[] {
  const mark = level === "error" ? paint("red", "✗") : paint("yellow", "!");
  const lines = wrapped(`${code}: ${text}`, width - 2);
  return lines.map((line, i) => (i === 0 ? `${mark} ${line}` : `  ${line}`));
}

/** Breaks lines between words, and keeps line breaks. */
function wrapped(text: string, width: number): string[] {
  return text.split("\n").flatMap((line) => {
    const lines: string[] = [];
    let current = "";
    for (const word of line.split(" ")) {
      if (current !== "" && current.length + 1 + word.length > width) {
        lines.push(current);
        current = word;
      } else {
        current = current === "" ? word : `${current} ${word}`;
      }
    }
    return [...lines, current];
  });
}

function verdict(problems: readonly Problem[], { paint }: Printing): string {
  const errors = problems.filter(({ level }) => level === "error").length;
  if (errors > 0) {
    const things = errors === 1 ? "One thing keeps" : `${errors} things keep`;
    return paint("red", `${things} programs from running`);
  }
  if (problems.length === 0) return paint("green", "All is well");
  return paint("green", "Nothing keeps programs from running, but see above");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function bytes(count: number): string {
  let unit = 0;
  let value = count;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}
