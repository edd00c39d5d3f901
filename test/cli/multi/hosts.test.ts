/** A farm over the ranks of several hosts, which this machine is made to be. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../contract/assert.ts";
import { Cluster } from "../../hosts/cluster.ts";
import { whyNoHosts } from "../../setup/hosts.ts";
import { drawnFamilies } from "../../setup/drawn.ts";
import { folder, MAIN } from "../setup.ts";

const LIMIT_MS = 120_000;

const reason = await whyNoHosts();
const families = reason === null ? drawnFamilies() : [];
if (reason !== null)
  afterAll(() => console.error(`\n*** no farm on several hosts: ${reason} ***\n`));

/** The columns of each line of a log. */
function columnsOf(path: string): string[][] {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  return lines.map((line) => line.split("\t"));
}

test.each(families)(
  "outputs of two hosts come whole and in order, and a log tells them apart: %s",
  async (family) => {
    await using work = await folder();
    await using cluster = await Cluster.open(2);
    const log = join(work.path, "log");
    const wide = "head -c 300000 /dev/zero | tr '\\0' x; echo";
    // The first one ends last.
    const script = `[ {} = 1 ] && sleep 1; hostname; ${wide}; echo {}`;
    const words = ["multi", "-k", "--joblog", log, script, ":::", "[1-8]"];
    const job = cluster.start(family, ["node1", "node1", "node2"], [MAIN, ...words]);
    const { exitCode, stdout, stderr } = await job.ended();
    expect([exitCode, stderr]).toEqual([0, ""]);
    const lines = stdout.split("\n");
    const hosts = new Map(columnsOf(log).map(([sequence, host]) => [Number(sequence), host]));
    const wanted = Array.from({ length: 8 }, (_, i) => i + 1).flatMap((i) => [
      hosts.get(i)!,
      "x".repeat(300_000),
      `${i}`,
    ]);
    expect(lines.slice(0, -1)).toEqual(wanted);
    expect([...new Set(hosts.values())].toSorted()).toEqual(["node1", "node2"]);
  },
  LIMIT_MS,
);

test.each(families)(
  "a host that dies ends the farm and its jobs, and the log goes on elsewhere: %s",
  async (family) => {
    await using work = await folder();
    await using cluster = await Cluster.open(2);
    const log = join(work.path, "log");
    const gate = join(work.path, "open");
    const sleep = `sleep ${80_000 + (process.pid % 10_000)}.25`;
    const script = `[ {} -lt 4 ] || [ -e ${gate} ] || ${sleep}; echo {}`;
    const words = ["multi", "-k", "--joblog", log, "--resume", script, ":::", "[1-8]"];
    const job = cluster.start(family, ["node1", "node1", "node2"], [MAIN, ...words]);
    const list = 'for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline; echo; done 2>/dev/null';
    const sleeping = async () => {
      const all = (await cluster.run("login", list)).split("\n");
      return all.filter((line) => line === `${sleep} `).length;
    };
    while ((await sleeping()) < 2) await Bun.sleep(100);
    await until("three lines of the log", () => columnsOf(log).length === 3);
    await cluster.kill("node2");
    expect(await job.over()).not.toBe(0);
    while ((await sleeping()) > 0) await Bun.sleep(100);
    expect(
      columnsOf(log)
        .map(([sequence]) => Number(sequence))
        .toSorted(),
    ).toEqual([1, 2, 3]);
    await Bun.write(gate, "");
    const rest = cluster.start(family, ["node1", "node1"], [MAIN, ...words]);
    const { exitCode, stdout } = await rest.ended();
    expect([exitCode, stdout]).toEqual([0, "4\n5\n6\n7\n8\n"]);
  },
  LIMIT_MS,
);
