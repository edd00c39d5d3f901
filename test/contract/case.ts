/** What a case of the contract is: a sentence, and a function that throws where it does not hold. */

export const MODES = ["local", "openmpi", "mpich"] as const;
/** How the program was started: by itself, or by the mpirun of a family. */
export type Mode = (typeof MODES)[number];
export const MPI: readonly Mode[] = ["openmpi", "mpich"];

/** What a case may know of the job it runs in. */
export interface Place {
  readonly mode: Mode;
  /** In an MPI job: every pool is isolated. */
  readonly isolated: boolean;
  /** In an MPI job: pools are of a rank and a process beside rank 0, where the cases ask for that. */
  readonly mixed: boolean;
  /** The most workers a pool can have, or should. */
  readonly workers: number;
  /** Top-level functions of the main script, which it does not export; null where it has none. */
  readonly main: MainFunctions | null;
}

/** What `AsyncPool.open(count)` has in this job: a rank each, or null for a process; mixed, one by the other. */
export function workersOf({ mode, mixed }: Place, count: number): (number | null)[] {
  return Array.from({ length: count }, (_, i) => {
    if (mode === "local") return null;
    if (!mixed) return i + 1;
    return i % 2 === 0 ? null : (i + 1) / 2;
  });
}

/** Workers of the pools of a program that no launcher started. */
export const LOCAL_WORKERS = 3;

export interface MainFunctions {
  readonly addOffset: (x: number) => number;
  readonly addLater: (x: number) => Promise<number>;
  /** Uses a name that stands below `open`. */
  readonly countCases: () => number;
}

/**
 * What a case depends on, and so in which jobs it is played (`jobs.ts`). "code": on nothing of how calls travel,
 * as most values, functions and errors. "link": on the way to a worker, and on what kind of process that is. "size":
 * besides, on how many workers there are.
 */
export type Dependence = "code" | "link" | "size";

export interface Options {
  /** Left out of all other modes. */
  readonly modes?: readonly Mode[];
  /**
   * True: only where workers are processes that can be ended and replaced, as local and isolated ones are.
   * False: only where they are ranks.
   */
  readonly processes?: boolean;
  /** Left out of jobs with fewer. */
  readonly workers?: number;
  /** Takes its time, also on a machine that is not busy: left out of the quick lane. */
  readonly slow?: boolean;
  /** ms until it is taken to hang. */
  readonly limit?: number;
  /** Needs names of the main script, so it cannot run where that is a test file. */
  readonly main?: boolean;
}

export interface Case extends Options {
  readonly name: string;
  readonly dependsOn: Dependence;
  run(place: Place): Promise<void> | void;
}

/** Cases on one subject. */
export class Subject {
  readonly cases: Case[] = [];
  readonly #name: string;
  readonly #dependsOn: Dependence;

  /** `dependsOn` is what its cases depend on that do not say otherwise. */
  constructor(name: string, dependsOn: Dependence = "link") {
    this.#name = name;
    this.#dependsOn = dependsOn;
  }

  /** Adds a case; the name of the subject and `sentence` are its name. */
  it(sentence: string, run: Case["run"], options: Options = {}): void {
    this.#add(sentence, run, options, this.#dependsOn);
  }

  /** Adds a case that depends on the link to a worker, where others of the subject do not. */
  itPerLink(sentence: string, run: Case["run"], options: Options = {}): void {
    this.#add(sentence, run, options, "link");
  }

  /** Adds a case that depends on no link, where others of the subject do. */
  itOnce(sentence: string, run: Case["run"], options: Options = {}): void {
    this.#add(sentence, run, options, "code");
  }

  /** Adds a case that depends on how many workers there are. */
  itPerSize(sentence: string, run: Case["run"], options: Options = {}): void {
    this.#add(sentence, run, options, "size");
  }

  #add(sentence: string, run: Case["run"], options: Options, dependsOn: Dependence): void {
    this.cases.push({ ...options, name: `${this.#name}: ${sentence}`, dependsOn, run });
  }
}

/** Whether a case is for a job of this mode, with so many workers, of which some `die` alone or all. */
export function applies(
  entry: Case,
  mode: Mode,
  available: number,
  die = mode === "local",
): boolean {
  const { modes, processes, workers = 1 } = entry;
  if (processes !== undefined && processes !== die) return false;
  return (modes?.includes(mode) ?? true) && workers <= available;
}

/** No case takes a tenth of it, alone on a slow machine; others run beside it. */
export const DEFAULT_LIMIT_MS = 60_000;
