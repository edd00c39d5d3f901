/** What a farm does where something is scarce: room on a disk, descriptors, an end of an output. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { folder, HIDES } from "../setup.ts";
import { BSYNC, type Played, run } from "./play.ts";

const LIMIT_MS = 60_000;

/** Runs a shell's commands, with `$bsync` for the command. */
function shell(path: string, script: string): Promise<Played> {
  return run(["bash", "-c", `bsync="$*"\n${script}`, "", ...BSYNC], path);
}

/** The same beside a folder `small` of 1 MiB. */
function onSmallDisk(path: string, script: string): Promise<Played> {
  mkdirSync(join(path, "small"));
  const mount = "mount -t tmpfs -o size=1M tmpfs small";
  const command = ["unshare", "--map-root-user", "--mount", "bash", "-c"];
  return run([...command, `${mount}\nbsync="$*"\n${script}`, "", ...BSYNC], path);
}

if (HIDES) {
  test(
    "a full disk fails the jobs whose output it has cut off, though they do not",
    async () => {
      await using work = await folder();
      const script = `TMPDIR=$PWD/small $bsync -j1 --joblog log 'head -c {} /dev/zero; true' ::: 100 2000000 | wc -c`;
      const { stdout, stderr } = await onSmallDisk(work.path, script);
      expect(Number(stdout)).toBeWithin(900_000, 1_100_000);
      expect(stderr).toStartWith("bsync multi: 1 of 2 jobs failed\n");
      expect(stderr).toContain("job 2: its output may be cut off: there is no room left in");
      const codes = readFileSync(join(work.path, "log"), "utf8").split("\n").slice(1, 3);
      expect(codes.map((line) => line.split("\t")[6])).toEqual(["0", "-1"]);
    },
    LIMIT_MS,
  );

  test(
    "what cannot be written is told with its place, and a log keeps whole lines",
    async () => {
      await using work = await folder();
      const script = `
        for to in results archive; do
          $bsync -j1 --$to small/kept 'head -c {} /dev/zero' ::: 2000000 > /dev/null; echo $?
          rm -r small/*
        done
        long=$(printf %3000s | tr ' ' x)
        set -- -j1 --joblog small/log '[ {#} != 2 ] || [ -e seen ] || dd if=/dev/zero of=small/fill; : {}' ::: $long $long
        $bsync "$@"; echo $?; cut -f1 small/log; wc -c < small/log
        rm small/fill; touch seen
        $bsync --resume "$@"; echo $?; cut -f1,7 small/log`;
      const { stdout, stderr } = await onSmallDisk(work.path, script);
      expect(stderr).toContain('multi: Cannot write the output of job 1 to "small/kept": ENOSPC');
      expect(stderr).toContain('multi: Cannot write the output of job 1 to "small/kept": data');
      expect(stderr).toContain('multi: Cannot write the log "small/log": ENOSPC');
      const [size, ...others] = stdout.replace("255\n255\n255\nSeq\n1\n", "").split("\n");
      expect(Number(size)).toBeWithin(3_000, 3_300);
      expect(others.join("\n")).toBe("0\nSeq\tExitval\n1\t0\n2\t0\n");
    },
    LIMIT_MS,
  );
}

test(
  "jobs wait where there is no descriptor for them",
  async () => {
    await using work = await folder();
    const script = `ulimit -n 40; $bsync -j60 'echo {} | tee -a ran' ::: '[1-200]' | sort -n; sort -n ran`;
    const { stdout, stderr } = await shell(work.path, script);
    const all = Array.from({ length: 200 }, (_, i) => `${i + 1}\n`).join("");
    expect([stderr, stdout]).toEqual(["", `${all}${all}`]);
  },
  LIMIT_MS,
);

test(
  "what a job has left behind writes on, and its output has an end all the same",
  async () => {
    await using work = await folder();
    const script = `$bsync --line-buffer 'while echo; do :; done & echo $! > pid; sleep 0.1; echo {}' ::: last | tail -c 5 | wc -c; kill $(cat pid)`;
    const { stdout, stderr } = await shell(work.path, script);
    expect([stderr, stdout]).toEqual(["", "5\n"]);
  },
  LIMIT_MS,
);

test(
  "an input that cannot be read is told with its name",
  async () => {
    await using work = await folder();
    const { stdout, stderr } = await shell(
      work.path,
      "$bsync -a . echo; $bsync echo < .; $bsync echo ::: a > /dev/full",
    );
    expect(stdout).toBe("");
    expect(stderr).toContain('multi: Cannot run: the input file "." cannot be read: it is a fold');
    expect(stderr).toContain("multi: Cannot read standard input: EISDIR");
    expect(stderr).toContain("multi: Cannot write the output of job 1 to standard output");
  },
  LIMIT_MS,
);
