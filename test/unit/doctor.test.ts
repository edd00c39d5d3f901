/** What `bsync doctor` makes of findings that no one machine has all of. */
import { describe, expect, test } from "bun:test";
import { lookInPlaceOf } from "../../src/cli/doctor/launch.ts";
import { hostsOf } from "../../src/cli/doctor/hosts.ts";
import { isRecent } from "../../src/cli/doctor/machine.ts";
import { diagnose, type Findings } from "../../src/cli/doctor/problems.ts";
import type { JobFacts, PlaceFacts, RankFacts } from "../../src/cli/doctor/report.ts";
import { printedJob, printedLaunch, printedProblems } from "../../src/cli/doctor/text.ts";
import { isRefused } from "../../src/cli/doctor/trial.ts";
import { speaks, style } from "../../src/cli/output.ts";
import { quotaIn } from "../../src/os/cores.ts";
import { transportOf } from "../../src/mpi/transport.ts";

const PRINTING = { home: "/home/ada", ...style({}, {}) };

const WELL: Findings = {
  bsync: "0.1.0",
  bun: { version: "1.4.5", path: "/usr/bin/bun", required: ">=1.4.5", ok: true },
  machine: {
    host: "node1",
    system: "Linux 6.1 x64",
    cores: 64,
    coresHere: 64,
    memoryBytes: 2 ** 38,
    sharedMemory: { folder: "/dev/shm", usable: true, freeBytes: 2 ** 37, instead: "/tmp" },
  },
  cache: {
    folder: "/home/ada/.cache/bsync",
    writable: "/home/ada/.cache/bsync",
    shims: [],
    others: { count: 0, bytes: 0 },
  },
  settings: {},
  mpis: [],
  broken: [],
  job: null,
  strayTasks: 0,
  launch: null,
};

/** A job of ranks on two hosts of 64 cores, each rank on a core of its own. */
function job(
  perHost: number,
  change: (rank: RankFacts) => Partial<RankFacts> = () => ({}),
): JobFacts {
  const ranks = Array.from({ length: 2 * perHost }, (_, rank) => {
    const host = rank < perHost ? "node1" : "node2";
    const facts = { host, rank, pid: 1000 + rank, bun: "1.4.5", library: "Open MPI", cores: 64 };
    const pingUs = rank === 0 ? null : host === "node1" ? 1.2 : 3.4;
    const own = { affinity: String(rank % perHost), machine: host, quota: null };
    const told = { ...facts, ...own, pingUs };
    return { ...told, ...change(told) };
  });
  return {
    launcher: { name: "Slurm's srun", family: "unknown" },
    size: ranks.length,
    error: null,
    matches: true,
    mpicc: null,
    library: "Open MPI v5.0.1",
    shim: "/home/ada/.cache/bsync/bsync_mpi-openmpi-1.so",
    transport: { name: "ucx", memory: null },
    hosts: hostsOf(ranks),
    ranks,
    silent: [],
  };
}

function found(change: Partial<Findings>): string[] {
  return diagnose({ ...WELL, ...change }).map(({ level, code }) => `${level} ${code}`);
}

/** A host that lacks nothing. */
const HOST: PlaceFacts = {
  host: "node1",
  bun: { version: "1.4.5", path: "/usr/bin/bun" },
  folder: "/home/ada",
  program: { path: "/home/ada/job.ts", found: true },
  missing: [],
  bsync: { version: "0.1.0", path: "/home/ada/node_modules/bsync", error: null },
  mpi: { shim: "/home/ada/.cache/bsync/bsync_mpi-openmpi-1.so", error: null },
};

describe("a command of which doctor is asked", () => {
  /** What is looked for in the place of each program: the words before it, Bun, and the program. */
  const looks = (command: string) => {
    const asked = lookInPlaceOf(command.split(" "));
    if (asked === null) return null;
    const parts = asked.join("\0").split("\0:\0");
    return parts.map((part) => {
      const words = part.split("\0");
      const at = words.indexOf("sh");
      const { program } = JSON.parse(words.at(-2)!) as { program: string | null };
      return [words.slice(0, at).join(" "), words[at + 4], program];
    });
  };

  test.each([
    ["mpirun -n 4 bun run job.ts 3", [["mpirun -n 4", "bun", "job.ts"]]],
    ["srun /opt/bun --smol ./job.js", [["srun", "/opt/bun", "./job.js"]]],
    ["mpirun -n 1 env A=1 bun start", [["mpirun -n 1 env A=1", "bun", "start"]]],
    ["mpirun -n 2 bunx bsync doctor", [["mpirun -n 2", "bun", "bsync"]]],
    [
      "mpirun -n 1 bun a.ts : -n 4 bun b.ts",
      [
        ["mpirun -n 1", "bun", "a.ts"],
        ["-n 4", "bun", "b.ts"],
      ],
    ],
    ["mpirun -n 1 ./peer : -n 4 bun b.ts", null],
    ["bun run job.ts", null],
    ["", null],
  ])("%s", (command, expected) => {
    expect(looks(command)).toEqual(expected);
  });

  test("what its hosts lack is wrong, each with its name", () => {
    const launch = (...hosts: PlaceFacts[]) => ({
      launch: { command: "mpirun …", hosts, failure: null },
    });
    expect(found(launch(HOST, { ...HOST, host: "node2" }))).toEqual([]);
    const nothing = { folder: null, program: null, missing: [], bsync: null, mpi: null };
    const bun = { version: null, path: "/bin" };
    expect(found(launch(HOST, { ...nothing, host: "node2", bun }))).toEqual(["error BUN_MISSING"]);
    const old = { ...HOST.bsync!, version: "0.0.9" };
    const other = { ...HOST, host: "node2", bun: { ...HOST.bun, version: "1.4.6" }, bsync: old };
    expect(found(launch(HOST, other))).toEqual(["warning BUN_DIFFERS", "warning BSYNC_DIFFERS"]);
    const failed = { command: "mpirun …", hosts: [], failure: "it ended with exit code 9" };
    expect(found({ launch: failed })).toEqual(["error LAUNCHER_FAILED"]);
    expect(printedLaunch(failed, PRINTING)).toContain("no host has answered");
  });
});

describe("what is wrong", () => {
  test("an old Bun", () => {
    expect(isRecent("1.4.4", ">=1.4.5")).toBe(false);
    expect(
      ["1.4.5", "1.10.0", "2.0.0", "1.4.6-canary.3"].map((v) => isRecent(v, ">=1.4.5")),
    ).toEqual(Array(4).fill(true));
    const bun = { ...WELL.bun, version: "1.3.0", ok: false };
    expect(found({ bun, job: job(2) })).toEqual([
      "error BUN_TOO_OLD",
      "warning BOUND_TO_ONE_CORE",
      "warning BOUND_TO_ONE_CORE",
    ]);
  });

  test("no MPI, which nobody minds who has a job", () => {
    expect(found({})).toEqual(["warning NO_MPI"]);
    expect(found({ job: job(40) })).toEqual([]);
  });

  test("ranks with another Bun, and slow ones", () => {
    const other = job(40, ({ rank }) => (rank === 79 ? { bun: "1.4.6" } : {}));
    expect(found({ job: other })).toEqual(["warning BUN_DIFFERS"]);
    const slow = job(40, ({ rank }) => (rank === 7 ? { pingUs: 900 } : {}));
    expect(found({ job: slow })).toEqual(["warning SLOW"]);
    const far = job(40, ({ rank }) => (rank === 77 ? { pingUs: 900 } : {}));
    expect(found({ job: far })).toEqual([]);
  });

  test("ranks that are silent, though the rest is well", () => {
    const silent = [
      { rank: 3, host: "node1", pid: null },
      { rank: 41, host: "node2", pid: null },
      { rank: 42, host: "node2", pid: 17 },
    ];
    const [problem, other] = diagnose({ ...WELL, job: { ...job(40), silent } });
    expect(problem).toMatchObject({ level: "error", code: "RANKS_SILENT" });
    expect(problem!.text).toStartWith("in this job of 80 ranks, ranks 3 on node1, 41 on node2 did");
    expect(other).toMatchObject({ level: "error", code: "RANKS_SILENT" });
    expect(other!.text).toContain("rank 42 on node2 (pid 17) answered at first, and then no more");
  });

  test("ranks that are bound to a core each, where there are more: in a job, not in a trial of two", () => {
    expect(found({ job: job(2) })).toEqual(Array(2).fill("warning BOUND_TO_ONE_CORE"));
    const mpirun = { path: "/usr/bin/mpirun", aliases: [] };
    const trial = { command: "/usr/bin/mpirun -n 2 bun …", job: job(1), failure: null };
    const mpi = { family: "openmpi", version: "5.0.1", mpirun, mpicc: null, trial } as const;
    expect(found({ mpis: [mpi] })).toEqual([]);
  });

  test("srun without the plugin of an MPI", () => {
    expect(found({ strayTasks: 4 })).toEqual(["error STRAY_TASKS", "warning NO_MPI"]);
  });

  test("a setting that asks for MPI where there is no launcher", () => {
    const settings = { BSYNC_USE_MPI: "1" };
    expect(found({ settings })).toEqual(["warning MPI_DEMANDED", "warning NO_MPI"]);
    expect(found({ settings, job: job(40) })).toEqual([]);
  });
});

describe("what is printed", () => {
  test("a line for each rank of a small job, for each host of a large one", () => {
    const small = printedJob({ job: job(2), mpis: [] }, PRINTING);
    expect(small).toContain("  rank  host    pid  cores  round trip\n".replace("\\\n", "\n"));
    expect(small).toContain("     3  node2  1003      1      3.4 µs");
    const large = printedJob({ job: job(40), mpis: [] }, PRINTING);
    expect(large).toContain("  node1     40  1.2 to 1.2 µs");
    expect(large).toContain("  binding     ~/.cache/bsync/bsync_mpi-openmpi-1.so");
    expect(large.split("\n").length).toBeLessThan(20);
  });

  test("lines of a problem are broken between words", () => {
    const text = "word ".repeat(60).trim();
    const lines = printedProblems([{ level: "error", code: "X", text }], PRINTING).split("\n");
    expect(lines[0]).toStartWith("✗ X: word word");
    expect(lines[1]).toStartWith("  word");
    expect(lines.every((line) => Bun.stringWidth(line) <= PRINTING.width)).toBe(true);
  });

  test("colours on a terminal, unless it is the one of a launcher or they are not wanted", () => {
    const paints = (isTTY: boolean, env: Record<string, string>) =>
      style({ isTTY, columns: 200 }, env).paint("red", "x") !== "x";
    expect(paints(true, {})).toBe(true);
    expect(paints(false, {})).toBe(false);
    expect(paints(true, { NO_COLOR: "1" })).toBe(false);
    expect(paints(true, { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2" })).toBe(false);
    expect(paints(false, { FORCE_COLOR: "1" })).toBe(true);
    expect(paints(true, { FORCE_COLOR: "0" })).toBe(false);
  });

  test("by rank 0 alone", () => {
    expect(speaks({})).toBe(true);
    expect(speaks({ PMI_RANK: "0", PMI_SIZE: "2" })).toBe(true);
    expect(speaks({ PMI_RANK: "1", PMI_SIZE: "2" })).toBe(false);
    const step = { SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "2" };
    expect(speaks({ ...step, SLURM_PROCID: "0" })).toBe(true);
    expect(speaks({ ...step, SLURM_PROCID: "1" })).toBe(false);
  });
});

test("Open MPI has to be told that it may run as root, twice in the environment", () => {
  const mpirun = {
    path: "",
    aliases: [],
    program: "",
    family: "openmpi",
    version: "4.1.4",
  } as const;
  const allowed = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };
  expect(isRefused(mpirun, {}, 0)).toBe(true);
  expect(isRefused(mpirun, { OMPI_ALLOW_RUN_AS_ROOT: "1" }, 0)).toBe(true);
  expect(isRefused(mpirun, allowed, 0)).toBe(false);
  expect(isRefused(mpirun, {}, 1000)).toBe(false);
  expect(isRefused({ ...mpirun, family: "mpich" }, {}, 0)).toBe(false);
});

test("what carries the messages, where a library tells, and where it does not", () => {
  const of = (libraryText: string, variables: string[] = []) =>
    transportOf({ libraryText, variables: () => variables });
  expect(
    of("Open MPI v4", ["pml_base_verbose", "pml_ob1_x", "btl_tcp_x", "btl_self_y", "btl_sm_z"]),
  ).toEqual({ name: "ob1 over sm, tcp", memory: true });
  expect(of("Open MPI v5", ["pml_ucx_x", "btl_tcp_x"])).toEqual({ name: "ucx", memory: null });
  expect(of("Open MPI v5")).toEqual({ name: "unknown", memory: null });
  expect(of("MPICH Version: 4\nMPICH Device:\tch4:ofi")).toEqual({ name: "ch4:ofi", memory: true });
  expect(of("Some MPI 1.0")).toEqual({ name: "unknown", memory: null });
});

describe("whether ranks share cores", () => {
  const codes = (perHost: number, change: (rank: RankFacts) => Partial<RankFacts>) =>
    found({ job: job(perHost, change) });
  const ON_ALL = { affinity: "0-63" };

  test("as many as there are cores, wherever they run: no", () => {
    expect(codes(64, () => ON_ALL)).toEqual([]);
  });

  test("one more than there are cores", () => {
    const [first] = diagnose({ ...WELL, job: job(65, () => ON_ALL) });
    expect(first?.code).toBe("OVERSUBSCRIBED");
    expect(first?.text).toStartWith("65 ranks share 64 cores on node1: nobody spins there");
  });

  test("bound to fewer cores than there are ranks", () => {
    const [first] = diagnose({ ...WELL, job: job(4, () => ({ affinity: "0-1" })) });
    expect(first?.code).toBe("OVERSUBSCRIBED");
    expect(first?.text).toStartWith("4 ranks share 2 cores of the 64 on node1, and take turns");
  });

  test("two of them bound to one core, beside free ones", () => {
    const change = ({ rank }: RankFacts) => ({ affinity: rank % 4 < 2 ? "0" : "1-63" });
    expect(codes(4, change)).toEqual(Array(2).fill("warning OVERSUBSCRIBED"));
  });

  test("ranks whose cores overlap, and that can have one each", () => {
    const lists = ["0-1", "0", "1-2"];
    expect(codes(3, ({ rank }) => ({ affinity: lists[rank % 3]! }))).not.toContain(
      "warning OVERSUBSCRIBED",
    );
  });

  test("a control group with less time than ranks; and one for each of them", () => {
    const group = "/sys/fs/cgroup/job";
    const limited = () => ({ ...ON_ALL, quota: { cores: 1.5, group } });
    const [first] = diagnose({ ...WELL, job: job(2, limited) });
    expect(first?.text).toStartWith("2 ranks share 1.5 cores of the 64 on node1, and take turns");
    expect(first?.text).toContain("docker --cpus");
    const each = ({ rank }: RankFacts) => ({
      ...ON_ALL,
      quota: { cores: 1, group: `${group}/${rank}` },
    });
    expect(codes(2, each)).toEqual([]);
  });

  test("two machines of one name: each has its own cores", () => {
    expect(codes(64, () => ({ ...ON_ALL, host: "node" }))).toEqual([]);
  });

  test("two containers on one machine share its cores", () => {
    const change = () => ({ ...ON_ALL, machine: "one" });
    expect(codes(40, change)).toEqual(Array(2).fill("warning OVERSUBSCRIBED"));
  });
});

describe("the limit of a control group", () => {
  const quota = (files: Record<string, string>) => quotaIn((path) => files[path] ?? null);

  test("there is none", () => {
    expect(quota({})).toBeNull();
    expect(
      quota({ "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "max 100000\n" }),
    ).toBeNull();
  });

  test("version 2: the least of its own and those above", () => {
    const files = {
      "/proc/self/cgroup": "0::/a/b\n",
      "/sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
      "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
    };
    expect(quota(files)).toEqual({ cores: 1.5, group: "/sys/fs/cgroup/a" });
  });

  test("version 2, in a container: that of its root", () => {
    const files = { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n" };
    expect(quota(files)).toEqual({ cores: 0.5, group: "/sys/fs/cgroup" });
  });

  test("version 1", () => {
    const folder = "/sys/fs/cgroup/cpu/docker/1";
    const files = {
      "/proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n",
      [`${folder}/cpu.cfs_quota_us`]: "200000\n",
      [`${folder}/cpu.cfs_period_us`]: "100000\n",
    };
    expect(quota(files)).toEqual({ cores: 2, group: folder });
    expect(quota({ ...files, [`${folder}/cpu.cfs_quota_us`]: "-1\n" })).toBeNull();
  });
});
