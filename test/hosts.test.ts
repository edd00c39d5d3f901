/**
 * Jobs on several hosts, which this machine is made to be (`hosts/cluster.ts`), under both MPIs.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { realpathSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Report } from "../src/cli/doctor/report.ts";
import { Cluster, commandOf, type HostJob } from "./hosts/cluster.ts";
import { folder } from "./cli/setup.ts";
import { until } from "./contract/assert.ts";
import { whyNoHosts } from "./setup/hosts.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

setDefaultTimeout(60_000);

const fixture = (name: string): string => join(import.meta.dir, "hosts/fixtures", name);

const DOCTOR = join(import.meta.dir, "../src/cli/main.ts");

const reason = await whyNoHosts();
const families = reason === null ? mpiFamilies() : [];
if (reason !== null) {
  const warn = (): void => console.error(`\n*** no tests of several hosts: ${reason} ***\n`);
  warn();
  afterAll(warn);
}

/** A job of rank 0 on node1, and one rank more for each other place; ends well, and tells in JSON. */
async function told(job: HostJob): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await job.ended();
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/** Launchers, and bsync where they do not, see within seconds that a host is silent. */
const IMPATIENT = {
  openmpi: {
    options: [
      ...["time 2", "intvl 1", "probes 2"].flatMap((x) =>
        `--mca oob_tcp_keepalive_${x}`.split(" "),
      ),
      ...["-x", "BSYNC_HOST_TIMEOUT"],
    ],
    // After the launcher: for the ranks on that host, which it does not reach.
    env: { BSYNC_HOST_TIMEOUT: "10000" },
  },
  mpich: { env: { BSYNC_HOST_TIMEOUT: "3000" } },
};

/** How it tells of a host that has been silent. */
const SILENCE = {
  // Now and then its mpirun takes the lost daemon for one that has never started, and names no host.
  openmpi: (host: string) =>
    `Remote daemon: .* on node ${host}|ORTE was unable to reliably start one or more daemons`,
  mpich: (host: string) =>
    `bsync: rank \\d .*: host ${host}, of rank \\d, has not answered for some 3 s`,
};

for (const family of families) {
  const test = testsUnder(family);

  /** No rank is left anywhere, and the launcher has ended, having told `pattern`. */
  const isOver = async (cluster: Cluster, job: HostJob, pattern: RegExp): Promise<void> => {
    await until("all ranks to end", async () => (await cluster.ranks()) === 0, 20_000);
    expect(await job.over()).not.toBe(0);
    // Its daemon on a host that is cut off may stay, and holds standard error open.
    await until(`${pattern}`, () => pattern.test(job.stderr));
  };

  describe(`faults of hosts, ${family}`, () => {
    const three = ["node1", "node2", "node3"];

    test.each([
      ["node2", "sync"],
      ["node2", "getSync"],
      ["node1", "async"],
    ])("%s is cut off: %s", async (host, state) => {
      await using cluster = await Cluster.open(3);
      const args = [fixture("waiting.ts"), state];
      await using job = cluster.start(family, three, args, IMPATIENT[family]);
      await job.said("waits");
      await cluster.cutOff(host);
      await isOver(cluster, job, new RegExp(SILENCE[family](host)));
    });

    test("a host is cut off, and only bsync sees it: mpirun ends with the job", async () => {
      await using cluster = await Cluster.open(2);
      const env = { BSYNC_HOST_TIMEOUT: "3000" };
      const options = family === "openmpi" ? ["-x", "BSYNC_HOST_TIMEOUT"] : [];
      const hosts = ["login", "node1", "node2"];
      const args = [fixture("waiting.ts"), "sync"];
      await using job = cluster.start(family, hosts, args, { options, env });
      await job.said("waits");
      await cluster.cutOff("node2");
      await isOver(cluster, job, new RegExp(SILENCE.mpich("node2")));
    });

    test.each(["node1", "node2"])("%s dies", async (host) => {
      await using cluster = await Cluster.open(3);
      await using job = cluster.start(family, three, [fixture("waiting.ts"), "sync"]);
      await job.said("waits");
      await cluster.kill(host);
      await isOver(cluster, job, family === "openmpi" ? /ORTE/ : /mpiexec@login/);
    });
  });

  describe(`what one host lacks, ${family}`, () => {
    /** What is said on standard error by a job on two hosts, after `commands` on the second one. */
    const lacking = async (commands: string, args = [fixture("short.ts")]): Promise<string> => {
      await using cluster = await Cluster.open(2);
      await cluster.run("node2", commands);
      await using job = cluster.start(family, ["node1", "node2"], args);
      const { exitCode, stderr } = await job.ended();
      expect(exitCode).not.toBe(0);
      return stderr;
    };

    test("Bun", async () => {
      const stderr = await lacking(`mount --bind /dev/null ${realpathSync(process.execPath)}`);
      expect(stderr).toMatch(/Node: node2|proxy:0:1@node2.*execvp error on file/);
    });

    const empty = "mount -t tmpfs tmpfs";

    test("the program: what doctor is for is told", async () => {
      const stderr = await lacking(`${empty} ${join(import.meta.dir, "hosts/fixtures")}`);
      expect(stderr).toContain("Module not found");
      // Open MPI's mpirun has ended the job before anybody could say more.
      if (family !== "mpich") return;
      expect(stderr).toContain(
        "bsync: rank 0 (host node1): MPI_Init did not finish within 4000 ms",
      );
      expect(stderr).toContain(
        "; if another host lacks the program or a package, `bunx bsync doctor -- ",
      );
    });

    const withoutHeaders =
      `for f in /usr/bin/mpicc*; do mount --bind /dev/null $f; done; ${empty} /usr/include; ` +
      `${empty} /usr/lib/$(uname -m)-linux-gnu/openmpi/include; ${empty} $HOME`;

    test("MPI's compiler and headers, and a binding in the cache", async () => {
      const stderr = await lacking(withoutHeaders);
      expect(stderr).toMatch(/MpiError|Cannot load MPI, which/);
      expect(stderr).toMatch(/install its development files .* \(rank 1, host node2\)/);
      // The job has ended with that rank: the other one did not have to wait for its timeout.
      expect(stderr).not.toContain("did not finish");
    });

    test("the same, and bsync doctor tells of it", async () => {
      const stderr = await lacking(withoutHeaders, [DOCTOR, "doctor"]);
      expect(stderr).toMatch(/^bsync doctor: rank 1 on node2: Cannot load MPI, which/m);
      expect(stderr).not.toContain("did not finish");
    });

    /** What doctor finds that is given the command of a job on two hosts, after `commands` on the second one. */
    const asked = async (commands: string, program: string): Promise<Report> => {
      await using cluster = await Cluster.open(2);
      await cluster.run("node2", commands);
      const command = commandOf(family, ["node1", "node2"], [program]);
      const ask = [process.execPath, DOCTOR, "doctor", "--json", "--", ...command];
      await using job = cluster.launch(ask);
      const { exitCode, stdout, stderr } = await job.ended();
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "" });
      const report = JSON.parse(stdout) as Report;
      expect(report.launch!.hosts.map(({ host }) => host).sort()).toEqual(["node1", "node2"]);
      return report;
    };

    const texts = ({ problems }: Report): string[] =>
      problems
        .filter(({ level }) => level === "error")
        .map(({ code, text }) => `${code}: ${text.split(":", 1)[0]}`);

    test.each([
      [
        "Bun",
        `mount --bind /dev/null ${realpathSync(process.execPath)}`,
        "BUN_MISSING: on node2 Bun does not run",
      ],
      [
        "the program",
        `${empty} ${join(import.meta.dir, "hosts/fixtures")}`,
        `PROGRAM_MISSING: on node2 there is no ${fixture("short.ts")}`,
      ],
      [
        "part of the package",
        `${empty} ${join(import.meta.dir, "../src")}`,
        `PACKAGE_BROKEN: on node2 bsync, in ${join(import.meta.dir, "..")}, does not load`,
      ],
      ["MPI's compiler, headers and binding", withoutHeaders, "MPI_UNUSABLE: on node2"],
    ])("%s, and doctor is asked beforehand", async (_, commands, text) => {
      expect(texts(await asked(commands, fixture("short.ts")))).toEqual([text]);
    });

    test("the packages of a program, and doctor is asked beforehand", async () => {
      await using work = await folder();
      const program = join(work.path, "job.ts");
      await Bun.write(program, 'import { AsyncPool } from "bsync";\nimport "left-pad";\n');
      await mkdir(join(work.path, "node_modules/left-pad"), { recursive: true });
      await Bun.write(join(work.path, "node_modules/left-pad/index.js"), "");
      await symlink(join(import.meta.dir, ".."), join(work.path, "node_modules/bsync"));
      const report = await asked(`${empty} ${join(work.path, "node_modules")}`, program);
      expect(texts(report)).toEqual([
        `PACKAGE_MISSING: on node2 ${program} imports "bsync", "left-pad", which cannot be found there`,
      ]);
    });
  });

  describe(`several hosts, ${family}`, () => {
    test("a pool and bsync/mpi across three hosts, and who is where", async () => {
      await using cluster = await Cluster.open(3);
      await using job = cluster.start(
        family,
        ["node1", "node1", "node2", "node3"],
        [fixture("across.ts")],
      );
      const seen = await told(job);
      expect(seen).toEqual({
        rank: 0,
        sum: 6,
        names: ["node1", "node1", "node2", "node3"],
        sound: true,
        workers: ["node1", "node2", "node3"],
        each: ["node1", "node2", "node3"],
        neighbours: 1,
        squares: true,
        large: true,
        failed: 3,
        stack: expect.stringMatching(/^host node[123]$/),
        late: expect.stringMatching(/: worker 1 \(rank 2, (pid \d+, )?host node2\) did not answer/),
        children: ["node1", "node2", "node3"],
        lost: expect.stringMatching(/\(rank \d, pid \d+, host node[123]\) exited with code 7/),
      });
    });

    test("calls of a function that was short, and is long now, are shared out", async () => {
      await using cluster = await Cluster.open(2);
      await using job = cluster.start(family, ["node1", "node2", "node2"], [fixture("sharing.ts")]);
      const { counts } = (await told(job)) as { counts: number[][] };
      expect(counts.length).toBe(2);
      for (const [first, second] of counts) {
        expect(first! + second!).toBe(12);
        expect(Math.min(first!, second!)).toBeGreaterThanOrEqual(4);
      }
    });

    test("ranks that come to their end at different times, more of them than cores", async () => {
      await using cluster = await Cluster.open(2);
      const hosts = Array.from({ length: 8 }, (_, i) => (i < 4 ? "node1" : "node2"));
      await using job = cluster.start(family, hosts, [fixture("short.ts"), "40000"]);
      const { exitCode, stdout, stderr } = await job.ended();
      expect({ exitCode, stdout, stderr }).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining("7"),
      });
    });

    test("bsync doctor tells which rank is where, and what it takes to reach it", async () => {
      await using cluster = await Cluster.open(2);
      const args = [DOCTOR, "doctor", "--json"];
      await using job = cluster.start(family, ["node1", "node1", "node2"], args);
      const { exitCode, stdout, stderr } = await job.ended();
      if (exitCode !== 0) throw new Error(`exit code ${exitCode}\n${stdout}\n${stderr}`);
      const { hosts, ranks } = (JSON.parse(stdout) as Report).job!;
      expect(hosts).toMatchObject([
        { host: "node1", ranks: 2 },
        { host: "node2", ranks: 1 },
      ]);
      expect(ranks.map(({ host }) => host)).toEqual(["node1", "node1", "node2"]);
      expect(ranks[2]!.pingUs).toBeGreaterThan(0);
    });

    test("hosts of one name, and processes of one number, are not taken for each other", async () => {
      await using cluster = await Cluster.open(2);
      await cluster.run("node2", "echo node1 >/proc/sys/kernel/hostname");
      await using job = cluster.start(family, ["node1", "node2"], [fixture("across.ts")]);
      const seen = await told(job);
      expect(seen).toMatchObject({ workers: ["node1"], each: ["node1"], neighbours: 0 });
    });
  });
}
