/** Programs of the suite, started as a user starts them, and what they leave behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AS_ROOT, mpirunCommand } from "../mpi/launch.ts";
import type { Mode } from "./case.ts";
import { until } from "./assert.ts";
import { pour } from "../setup/pour.ts";

/** Of so many parts the one of that number, from 1: every so many-th case. */
export interface Part {
  readonly number: number;
  readonly of: number;
}

/** In which way a program is started: `ranks` counts under MPI only. */
export interface Launch {
  readonly mode: Mode;
  readonly ranks: number;
  /** Every pool of it is, unless it says otherwise; for jobs that `runCases` plays. */
  readonly isolated?: boolean;
  /** Its pools are of ranks and processes, as far as the cases are for that. */
  readonly mixed?: boolean;
  /** It plays a part of its cases: the others are for jobs beside it. */
  readonly part?: Part;
}

export interface JobOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of Bun. */
  readonly flags?: readonly string[];
}

/** A variable by which the processes of a job are known. */
const MARK = "BSYNC_TEST_JOB";

/** A running program. Disposing ends whatever is left of it. */
export class Job implements AsyncDisposable {
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** All that was written so far. */
  stdout = "";
  stderr = "";
  readonly #mark = `${MARK}=${crypto.randomUUID()}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "contract-"));
  readonly #shared = new Set(sharedFiles());
  readonly #read: Promise<unknown>;

  constructor(
    launch: Launch,
    script: string,
    { args = [], env = {}, flags = [] }: JobOptions = {},
  ) {
    this.process = Bun.spawn([...commandOf(launch, script, flags), ...args], {
      env: {
        ...process.env,
        ...AS_ROOT,
        TMPDIR: this.#folder,
        ...env,
        [MARK]: this.#mark.slice(MARK.length + 1),
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // Ctrl-C is sent to a whole group, which must not be that of the tests.
      detached: true,
    });
    this.#read = Promise.all([
      pour(this.process.stdout, (text) => (this.stdout += text)),
      pour(this.process.stderr, (text) => (this.stderr += text)),
    ]);
  }

  /** Resolves once the program has written `text`; fails when it ends without. */
  async said(text: string, limit = 20_000): Promise<void> {
    const over = () => this.process.exitCode !== null || this.process.signalCode !== null;
    await until(`"${text}" of ${this}`, () => this.stdout.includes(text) || over(), limit);
    if (!this.stdout.includes(text)) throw new Error(`${this} ended and never said "${text}"`);
  }

  /** Resolves when the program has ended; fails when it has not after `limit` ms. */
  async ended(limit: number): Promise<void> {
    if (!(await this.#endsWithin(limit))) {
      throw new Error(`${this} did not end within ${limit} ms`);
    }
  }

  /** The same; fails when it has written nothing for `limit` ms. */
  async endedOrSilent(limit: number): Promise<void> {
    for (let length = -1; length < this.stdout.length;) {
      length = this.stdout.length;
      if (await this.#endsWithin(limit)) return;
    }
    throw new Error(`${this} has said nothing for ${limit} ms, and did not end`);
  }

  async #endsWithin(limit: number): Promise<boolean> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), limit);
    const first = await Promise.race([this.process.exited, late.promise]);
    clearTimeout(timer);
    return first !== "late";
  }

  /** Fails, unless all its processes are gone within `limit` ms, and all files of bsync. */
  async leftNothing(limit = 3_000): Promise<void> {
    try {
      await until("its processes to end", () => this.processes().length === 0, limit);
      await until("its files to go", () => this.files().length === 0, limit);
    } catch (error) {
      const left = [
        ...this.processes().map(({ pid, command }) => `${pid} ${command}`),
        ...this.files(),
      ];
      throw new Error(`${this} left behind:\n${left.join("\n")}`, { cause: error });
    }
    // Who inherited a pipe and lives on would keep it open.
    await this.#read;
  }

  /** All living processes of the job. */
  processes(): { pid: number; command: string }[] {
    const found: { pid: number; command: string }[] = [];
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const read = (file: string): string => readFileSync(`/proc/${name}/${file}`, "latin1");
      try {
        if (!read("environ").split("\0").includes(this.#mark)) continue;
        found.push({ pid: Number(name), command: read("cmdline").replaceAll("\0", " ") });
      } catch {
        // It ended meanwhile, or is somebody else's.
      }
    }
    return found;
  }

  /** bsync's files among the temporary and the shared ones that nobody uses. */
  files(): string[] {
    const fresh = sharedFiles().filter((file) => !this.#shared.has(file) && !isMapped(file));
    const own = readdirSync(this.#folder, { recursive: true, encoding: "utf8" });
    return [...fresh, ...own.filter((file) => /bsync/i.test(file))];
  }

  toString(): string {
    return `the job (stdout ${JSON.stringify(this.stdout)}, stderr ${JSON.stringify(this.stderr)})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pid } of this.processes()) kill(pid);
    await this.process.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function commandOf({ mode, ranks }: Launch, script: string, flags: readonly string[]): string[] {
  if (mode === "local") return [process.execPath, ...flags, "run", script];
  const command = mpirunCommand(mode, ranks, script);
  command.splice(command.indexOf(process.execPath) + 1, 0, ...flags);
  return command;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function sharedFiles(): string[] {
  return readdirSync("/dev/shm").flatMap((name) => (/bsync/i.test(name) ? `/dev/shm/${name}` : []));
}

/** Whether a living process uses a file: another job's, then. */
function isMapped(file: string): boolean {
  return readdirSync("/proc").some((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/maps`, "latin1").includes(file);
    } catch {
      return false;
    }
  });
}
