/** How jobs start, and what may keep them, or the farm, from it. */
import { expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder } from "../setup.ts";
import { BSYNC, run } from "./play.ts";

const LIMIT_MS = 60_000;

test(
  "a job whose folder cannot be made fails, and none that was sent along with it",
  async () => {
    await using work = await folder();
    writeFileSync(join(work.path, "7"), "");
    const words = ["-j1", "--wd", "{}", "true # {}", ":::", "[1-20]"];
    const { stderr, exitCode } = await run([...BSYNC, ...words], work.path);
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("bsync multi: 1 of 20 jobs failed\n  job 7: EEXIST");
  },
  LIMIT_MS,
);

test(
  "a script that names no interpreter is the shell's",
  async () => {
    await using work = await folder();
    writeFileSync(join(work.path, "script"), "echo $# $1\n");
    chmodSync(join(work.path, "script"), 0o755);
    const words = ["-k", "./script", ":::", "a", "b  c"];
    const { stdout, exitCode } = await run([...BSYNC, ...words], work.path);
    expect([stdout, exitCode]).toEqual(["1 a\n1 b c\n", 0]);
  },
  LIMIT_MS,
);

test(
  "the writer of a named pipe has one reader, that of its values",
  async () => {
    await using work = await folder();
    const script = `mkfifo pipe; { seq 3 > pipe; echo $? >&2; } & "$@" -k -a pipe echo; wait`;
    const { stdout, stderr } = await run(["bash", "-c", script, "", ...BSYNC], work.path);
    expect([stdout, stderr]).toEqual(["1\n2\n3\n", "0\n"]);
  },
  LIMIT_MS,
);

test(
  "an input that has not ended, and a delay, keep no farm that has",
  async () => {
    await using work = await folder();
    // The input ends once the farm has said how it ended.
    const held = `mkfifo in; exec 3<>in; echo a >&3; "$@" --halt now,done=1 echo < in; echo $?`;
    const halted = await run(["bash", "-c", held, "", ...BSYNC], work.path);
    expect(halted.stdout).toBe("a\n0\n");
    const script = "touch $PARALLEL_SEQ # {}";
    const child = Bun.spawn([...BSYNC, "-j1", "--delay", "1h", script, ":::", "1", "2"], {
      cwd: work.path,
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (!(await Bun.file(join(work.path, "1")).exists())) await Bun.sleep(20);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
  },
  LIMIT_MS,
);

test(
  "no byte of a file's name is changed, also where it is no UTF-8",
  async () => {
    await using work = await folder();
    const script = `
      mkdir in; for name in $'a\\xffb' $'\\xe9 \\'x%' plain; do echo "in $name" > "in/$name"; done
      cd in
      "$@" -k cat ::: *
      ls > ../list; "$@" -k --tag -a ../list 'cat {}; exit 3' 2> /dev/null
      "$@" -k --dry-run cat {} ::: *
      set -- "$@" --joblog ../log
      kept='--results ../kept --archive ../all.db'
      "$@" -k --wd ../of-{} $kept 'pwd; cat ../in/{}; false' ::: * 2> /dev/null
      cut -f 9 ../log | sort; ls .. | grep of-; ls ../kept/1
      "$@" -a ../list --resume 'pwd; cat ../in/{}; false'
      "$@" -j1 --retry-failed 2> /dev/null | sort; wc -l < ../log`;
    const command = ["bash", "-c", `{ ${script}\n} | od -An -v -tx1 -w1000000`, "", ...BSYNC];
    const { stdout, stderr } = await run(command, work.path, "", { LC_ALL: "C" });
    expect(stderr).toBe("");
    const got = Buffer.from(stdout.replaceAll(/\s/g, ""), "hex").toString("latin1");
    const [odd, quoted] = ["a\xffb", "\xe9 'x%"];
    const line = `'\xe9 '"'"'x%'`;
    const names = [odd, "plain", quoted];
    const lines = [`'${odd}'`, "plain", line];
    const root = `${work.path}/of-`;
    const first =
      names.map((name) => `in ${name}\n`).join("") +
      names.map((name) => `${name}\tin ${name}\n`).join("") +
      lines.map((one) => `cat ${one}\n`).join("") +
      names.map((name) => `${root}${name}\nin ${name}\n`).join("");
    const commands = lines.map((one) => `pwd; cat ../in/${one}; false`);
    const rest =
      ["Command", ...commands.toSorted()].map((one) => `${one}\n`).join("") +
      names.map((name) => `of-${name}\n`).join("") +
      names.map((name) => `${name}\n`).join("") +
      [`${work.path}/in\n`.repeat(3), ...names.map((name) => `in ${name}\n`)].join("") +
      "7\n";
    expect(got).toBe(first + rest);
  },
  LIMIT_MS,
);

test(
  "a zero byte in a value is told for what it is",
  async () => {
    await using work = await folder();
    const { stdout, stderr, exitCode } = await run(
      [...BSYNC, "-k", "echo"],
      work.path,
      "a\0b\nc\n",
    );
    expect([stdout, exitCode]).toEqual(["c\n", 1]);
    expect(stderr).toContain(
      "job 1: a zero byte is in its command, and no argument can have one; -0",
    );
  },
  LIMIT_MS,
);

test(
  "Ctrl-C ends a farm also where nobody reads what it prints",
  async () => {
    await using work = await folder();
    const script = `mkfifo out; exec 3<>out; exec "$@" 'head -c 200000 /dev/zero; touch {}' ::: [1-4] > out`;
    const child = Bun.spawn(["bash", "-c", script, "", ...BSYNC, "-j1"], {
      cwd: work.path,
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (!(await Bun.file(join(work.path, "4")).exists())) await Bun.sleep(20);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
  },
  LIMIT_MS,
);
