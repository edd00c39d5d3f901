/**
 * What `bsync doctor` finds: the shape of `bsync doctor --json`. Keys may be added to it in later
 * versions; those that are here keep their names and meanings.
 */
import type { Family } from "../../mpi/launcher/launcher.ts";

export interface Report {
  /** Version of bsync. */
  readonly bsync: string;
  readonly bun: BunFacts;
  readonly machine: MachineFacts;
  readonly cache: CacheFacts;
  /** The settings of bsync that are in force: BSYNC_MPICC and the like. */
  readonly settings: Readonly<Record<string, string>>;
  /** The MPIs that were found, the one a plain `mpirun` starts first. */
  readonly mpis: readonly MpiFacts[];
  /** Compiler wrappers that do not work, and are left alone. */
  readonly broken: readonly { readonly path: string; readonly why: string }[];
  /** The job that doctor itself runs in; null without a launcher. */
  readonly job: JobFacts | null;
  /** How many copies of the command srun has started without an MPI for them; 0 as a rule. */
  readonly strayTasks: number;
  /**
   * What the hosts of a launch have; null where no command was given (`bsync doctor -- mpirun …`).
   */
  readonly launch: LaunchFacts | null;
  /** What is wrong, errors first. */
  readonly problems: readonly Problem[];
  /** No errors among the problems: the exit code is 0. */
  readonly ok: boolean;
}

export interface BunFacts {
  readonly version: string;
  readonly path: string;
  /** As `engines` of bsync's package.json has it. */
  readonly required: string;
  readonly ok: boolean;
}

export interface MachineFacts {
  readonly host: string;
  /** As "Linux 6.1.0 x64". */
  readonly system: string;
  readonly cores: number;
  /** Those this process may run on: as many workers has a pool by default. */
  readonly coresHere: number;
  readonly memoryBytes: number;
  readonly sharedMemory: SharedMemoryFacts;
}

export interface SharedMemoryFacts {
  readonly folder: string;
  /** Could a file without a name be made there, written to and mapped? */
  readonly usable: boolean;
  /** null where there is no such folder. */
  readonly freeBytes: number | null;
  /** The folder that serves in its place; null where none does. */
  readonly instead: string | null;
}

export interface CacheFacts {
  /** Where the bindings should be. */
  readonly folder: string;
  /** Where they are put: that folder, one beside the temporary files, or null for nowhere. */
  readonly writable: string | null;
  readonly shims: readonly ShimFacts[];
  /** What else is in it: answers of compilers, and what is being built. */
  readonly others: { readonly count: number; readonly bytes: number };
}

/** A binding to MPI that was built earlier. */
export interface ShimFacts {
  readonly path: string;
  readonly bytes: number;
  readonly family: Family;
  /** One that this version of bsync would use now, with an MPI that is here. */
  readonly current: boolean;
  /**
   * `"loads"`; `"damaged"`: not as it was written, and never loaded; `"broken"`: whole, but it does
   * not load, or crashes, or is of another version of the interface; `"repaired"`: one of these
   * two, until it was built again just now; `"unused"`: not current, and not looked into. It may be
   * in use all the same: by another version of bsync, or with an MPI that is not found from here.
   */
  readonly state: "loads" | "damaged" | "broken" | "repaired" | "unused";
  /** The version of its interface; null when it could not be asked. */
  readonly abi: number | null;
  /** What is wrong with it, or was; empty when nothing is. */
  readonly why: string;
}

/** An MPI of this machine. */
export interface MpiFacts {
  readonly family: Family;
  readonly version: string | null;
  /** The program that starts its jobs; null when there is none. */
  readonly mpirun: { readonly path: string; readonly aliases: readonly string[] } | null;
  /** The wrapper that its binding is built with; null when there is none. */
  readonly mpicc: MpiccFacts | null;
  /**
   * The job of two ranks that doctor started to try it; null where it could not, or was a rank
   * itself.
   */
  readonly trial: TrialFacts | null;
}

export interface MpiccFacts {
  readonly path: string;
  readonly family: Family;
  /** Does it find an mpi.h? null when it doesn't tell where it looks. */
  readonly header: boolean | null;
  /** Version of MPI by that mpi.h; null when it doesn't tell. */
  readonly version: string | null;
  /** The compiler behind it; empty when it doesn't tell. */
  readonly compiler: string;
  /** Did it build the binding, or was that there? Else what it said. null when it was not tried. */
  readonly error: string | null;
}

export interface TrialFacts {
  /** The command line. */
  readonly command: string;
  readonly job: JobFacts | null;
  /** How the launcher failed, with its own words; null when it did not. */
  readonly failure: string | null;
}

/** A job of MPI, as its rank 0 sees it. */
export interface JobFacts {
  readonly launcher: { readonly name: string; readonly family: Family };
  /**
   * Number of ranks, by MPI, or, where that could not be started, by the launcher: 0 if it doesn't
   * tell.
   */
  readonly size: number;
  /** Why MPI could not be started; null when it was. What follows `mpicc` is empty then. */
  readonly error: string | null;
  /** Is the binding of the launcher's MPI? null when there is none to ask. */
  readonly matches: boolean | null;
  readonly mpicc: MpiccFacts | null;
  /** Name and version of the loaded libmpi. */
  readonly library: string | null;
  /** Where the binding came from: its path, or Bun's own compiler. */
  readonly shim: string | null;
  readonly transport: { readonly name: string; readonly memory: boolean | null } | null;
  readonly hosts: readonly HostFacts[];
  /** Those that answered, in order. */
  readonly ranks: readonly RankFacts[];
  /** Ranks that did not answer in time. */
  readonly silent: readonly SilentRank[];
}

export interface SilentRank {
  readonly rank: number;
  readonly host: string;
  /**
   * Of one that told of itself, and then answered no more; null when it has said nothing at all.
   */
  readonly pid: number | null;
}

export interface HostFacts {
  readonly host: string;
  readonly ranks: number;
  readonly cores: number;
  /** How many of them its ranks may run on, all together. */
  readonly coresOfRanks: number;
  /**
   * How many cores' worth of time the control groups of its ranks have, all together; null for no
   * limit.
   */
  readonly quota: number | null;
  /** There is no core for each rank: of the machine, by what it is bound to, or by that limit. */
  readonly oversubscribed: boolean;
  /** Some rank may not run on every core. */
  readonly bound: boolean;
}

export interface RankFacts {
  readonly rank: number;
  readonly host: string;
  readonly pid: number;
  readonly bun: string;
  readonly library: string;
  /** Cores of its machine. */
  readonly cores: number;
  /** The numbers of those it may run on, as in "0-3,8". */
  readonly affinity: string;
  /** Tells its machine from others, which may have the same name; empty where that is not known. */
  readonly machine: string;
  /** How many cores' worth of time its control group has, and which that is; null for no limit. */
  readonly quota: { readonly cores: number; readonly group: string } | null;
  /** µs of a round trip from rank 0, the median of many; null for rank 0. */
  readonly pingUs: number | null;
}

/**
 * A command that starts a program on several hosts, as it was given; not the program is started,
 * but a look.
 */
export interface LaunchFacts {
  readonly command: string;
  /** Those that answered, by name; once for each program that they are to run. */
  readonly hosts: readonly PlaceFacts[];
  /** How the launcher failed, with its own words; null when it did not. */
  readonly failure: string | null;
}

/** What a host has of what the program needs. */
export interface PlaceFacts {
  readonly host: string;
  /** Without a version it does not run there, and `path` is the PATH in which it was looked for. */
  readonly bun: { readonly version: string | null; readonly path: string };
  /**
   * The folder that programs are started in; null where Bun does not run, and so nothing more is
   * known.
   */
  readonly folder: string | null;
  /**
   * What is to run: the path of a file, or the name of a script or of a package's command; null
   * where the command names none.
   */
  readonly program: { readonly path: string; readonly found: boolean } | null;
  /** What the program imports, and is not there, as `"bsync"`. */
  readonly missing: readonly string[];
  /**
   * The package as the program finds it, and why it does not load, if so; null if it is not there.
   */
  readonly bsync: {
    readonly version: string;
    readonly path: string;
    readonly error: string | null;
  } | null;
  /**
   * Where its binding to MPI comes from, or why it cannot be had; null if that could not be asked.
   */
  readonly mpi: { readonly shim: string | null; readonly error: string | null } | null;
}

export interface Problem {
  /** `"error"`: programs do not run. `"warning"`: they do, but something is not as it should be. */
  readonly level: "error" | "warning";
  /** One for each kind of problem, as "NO_MPI". */
  readonly code: string;
  /** Who, what, where, and what to do. */
  readonly text: string;
}
