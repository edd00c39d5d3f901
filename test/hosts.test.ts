/**
 * Jobs on several hosts, which this machine is made to be (`hosts/cluster.ts`), under both MPIs.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Report } from "../src/cli/doctor/report.ts";
import { Cluster, type HostJob } from "./hosts/cluster.ts";
import { whyNoHosts } from "./setup/hosts.ts";
import { mpiFamilies } from "./setup/mpi.ts";

setDefaultTimeout(60_000);

const fixture = (name: string): string => join(import.meta.dir, "hosts/fixtures", name);

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

for (const family of families) {
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

    test("bsync doctor tells which rank is where, and what it takes to reach it", async () => {
      await using cluster = await Cluster.open(2);
      const command = join(import.meta.dir, "../src/cli/main.ts");
      const args = [command, "doctor", "--json"];
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
