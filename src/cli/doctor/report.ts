/**
 * The findings of `bsync doctor`: the shape of `bsync doctor --json`. Later versions may add keys;
 * present keys keep their names and meanings.
 */
import type { Family } from "../../mpi/launcher/launcher.ts";

export interface Report {
  /** Version of bsync. */
  readonly bsync: string;
  readonly bun: BunFacts;
  readonly machine: MachineFacts;
  readonly cache: CacheFacts;
  /** The settings of bsync that are set: BSYNC_MPICC and the like. */
  readonly settings: Readonly<Record<string, string>>;
  /** The MPIs found, the one that a plain `mpirun` starts first. */
  readonly mpis: readonly MpiFacts[];
  /** Compiler wrappers that do not work, and are not used. */
  readonly broken: readonly { readonly path: string; readonly why: string }[];
  /** The job that doctor itself runs in; null without a launcher. */
  readonly job: JobFacts | null;
  /** How many copies of the command srun has started without an MPI for them; 0 otherwise. */
  readonly strayTasks: number;
  /** The hosts of a launch; null if no command was given (`bsync doctor -- mpirun …`). */
  readonly launch: LaunchFacts | null;
  /** The problems found, errors first. */
  readonly problems: readonly Problem[];
  /** True if no problem is an error: the exit code is 0. */
  readonly ok: boolean;
}

export interface BunFacts {
  readonly version: string;
  readonly path: string;
  /** From `engines` in bsync's package.json. */
  readonly required: string;
  readonly ok: boolean;
}

export interface MachineFacts {
  readonly host: string;
  /** As "Linux 6.1.0 x64". */
  readonly system: string;
  readonly cores: number;
  /** The cores this process may run on, a pool's default number of workers. */
  readonly coresHere: number;
  readonly memoryBytes: number;
  readonly sharedMemory: SharedMemoryFacts;
}

export interface SharedMemoryFacts {
  readonly folder: string;
  /** Whether an unnamed file could be made there, written to and mapped. */
  readonly usable: boolean;
  /** null if there is no such folder. */
  readonly freeBytes: number | null;
  /** The folder that is used instead; null if none works. */
  readonly instead: string | null;
}

export interface CacheFacts {
  /** The folder for the bindings. */
  readonly folder: string;
  /** The folder they are written to: `folder`, one beside the temporary files, or null for none. */
  readonly writable: string | null;
  readonly shims: readonly ShimFacts[];
  /** The other files in it: answers of compilers, and unfinished builds. */
  readonly others: { readonly count: number; readonly bytes: number };
}

/** A binding to MPI that was built earlier. */
export interface ShimFacts {
  readonly path: string;
  readonly bytes: number;
  readonly family: Family;
  /** True if this version of bsync would use it now, with an MPI found here. */
  readonly current: boolean;
  /**
   * `"loads"`; `"damaged"`: not as it was written, and never loaded; `"broken"`: whole, but it does
   * not load, or crashes, or has another version of the interface; `"repaired"`: damaged or broken
   * until it was rebuilt just now; `"unused"`: not current, and not examined. An unused one may
   * still serve another version of bsync, or an MPI that is not found from here.
   */
  readonly state: "loads" | "damaged" | "broken" | "repaired" | "unused";
  /** The version of its interface; null if unknown. */
  readonly abi: number | null;
  /** What is or was wrong with it; empty if nothing. */
  readonly why: string;
}

/** An MPI of this machine. */
export interface MpiFacts {
  readonly family: Family;
  readonly version: string | null;
  /** The program that starts its jobs; null if there is none. */
  readonly mpirun: { readonly path: string; readonly aliases: readonly string[] } | null;
  /** The wrapper that builds its binding; null if there is none. */
  readonly mpicc: MpiccFacts | null;
  /** The trial job of two ranks; null if doctor could not start one, or was a rank itself. */
  readonly trial: TrialFacts | null;
}

export interface MpiccFacts {
  readonly path: string;
  readonly family: Family;
  /** Whether it finds an mpi.h; null if it does not tell where it looks. */
  readonly header: boolean | null;
  /** Version of MPI by that mpi.h; null if it does not tell. */
  readonly version: string | null;
  /** The compiler behind it; empty if it does not tell. */
  readonly compiler: string;
  /**
   * Its failure to build the binding; null if it succeeded, the binding existed, or it was not
   * tried.
   */
  readonly error: string | null;
}

export interface TrialFacts {
  /** The command line. */
  readonly command: string;
  readonly job: JobFacts | null;
  /** How the launcher failed, with its own words; null if it did not. */
  readonly failure: string | null;
}

/** An MPI job, as its rank 0 sees it. */
export interface JobFacts {
  readonly launcher: { readonly name: string; readonly family: Family };
  /**
   * Number of ranks by MPI or, if MPI could not be started, by the launcher: 0 if it does not tell.
   */
  readonly size: number;
  /** Why MPI could not be started; null if it was. The keys after `mpicc` are empty then. */
  readonly error: string | null;
  /** Whether the binding is for the launcher's MPI; null if there is none to ask. */
  readonly matches: boolean | null;
  readonly mpicc: MpiccFacts | null;
  /** Name and version of the loaded libmpi. */
  readonly library: string | null;
  /** The origin of the binding: its path, or Bun's own compiler. */
  readonly shim: string | null;
  readonly transport: { readonly name: string; readonly memory: boolean | null } | null;
  readonly hosts: readonly HostFacts[];
  /** The ranks that answered, in order. */
  readonly ranks: readonly RankFacts[];
  /** Ranks that did not answer in time. */
  readonly silent: readonly SilentRank[];
}

export interface SilentRank {
  readonly rank: number;
  readonly host: string;
  /** The pid of a rank that sent its facts, and then did not answer; null if it sent nothing. */
  readonly pid: number | null;
}

export interface HostFacts {
  readonly host: string;
  readonly ranks: number;
  readonly cores: number;
  /** How many of the cores its ranks may run on, all together. */
  readonly coresOfRanks: number;
  /** The CPU time of its ranks' control groups together, in cores; null for no limit. */
  readonly quota: number | null;
  /** True if there is no core for each rank: of the machine, by binding, or by the quota. */
  readonly oversubscribed: boolean;
  /** True if some rank may not run on every core. */
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
  /** The numbers of the cores it may run on, as "0-3,8". */
  readonly affinity: string;
  /** Identifies its machine among others of the same name; empty if unknown. */
  readonly machine: string;
  /** The CPU time of its control group, in cores, and the group; null for no limit. */
  readonly quota: { readonly cores: number; readonly group: string } | null;
  /** µs of a round trip from rank 0, the median of many; null for rank 0. */
  readonly pingUs: number | null;
}

/**
 * A command that starts a program on several hosts, as given; an examination is started instead of
 * the program.
 */
export interface LaunchFacts {
  readonly command: string;
  /** The hosts that answered, by name; once for each program that they are to run. */
  readonly hosts: readonly PlaceFacts[];
  /** How the launcher failed, with its own words; null if it did not. */
  readonly failure: string | null;
}

/** What a host has of the program's needs. */
export interface PlaceFacts {
  readonly host: string;
  /** Without a version Bun does not run there, and `path` is the PATH that was searched. */
  readonly bun: { readonly version: string | null; readonly path: string };
  /**
   * The folder that programs are started in; null if Bun does not run: then nothing more is known.
   */
  readonly folder: string | null;
  /**
   * The program: the path of a file, or the name of a script or of a package's command; null if the
   * command names none.
   */
  readonly program: { readonly path: string; readonly found: boolean } | null;
  /** The program's imports that are missing, as `"bsync"`. */
  readonly missing: readonly string[];
  /**
   * The package as the program finds it, and why it does not load, if so; null if it is missing.
   */
  readonly bsync: {
    readonly version: string;
    readonly path: string;
    readonly error: string | null;
  } | null;
  /** The origin of its binding to MPI, or why it has none; null if that could not be asked. */
  readonly mpi: { readonly shim: string | null; readonly error: string | null } | null;
}

export interface Problem {
  /**
   * `"error"`: programs do not run. `"warning"`: they run, but something is not as it should be.
   */
  readonly level: "error" | "warning";
  /** One for each kind of problem, as "NO_MPI". */
  readonly code: string;
  /** Who, what, where, and what to do. */
  readonly text: string;
}
