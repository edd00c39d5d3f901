/**
 * Hosts on this machine, as `cluster.sh` makes them: a login host, from which jobs are started, and
 * nodes, on which their ranks run. All that is left of them is gone when they are disposed of, or this
 * process ends.
 */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { MpiFamily } from "../setup/mpi.ts";
import { until } from "../contract/assert.ts";
import { pour } from "../setup/pour.ts";

const SCRIPT = join(import.meta.dir, "cluster.sh");
const AGENT = join(import.meta.dir, "enter.sh");

/** ms that a job may take, on a machine that runs many tests at once. */
const LIMIT_MS = 45_000;

/** Launchers of both families start ranks by `enter.sh`, in the place of ssh, and speak over eth0 only. */
const LAUNCHERS = {
  openmpi: (hosts: readonly string[]) => [
    ...["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--host", hosts.join(",")],
    ...["--mca", "plm_rsh_agent", AGENT, "--mca", "oob_tcp_if_include", "eth0"],
    ...["--mca", "btl_tcp_if_include", "eth0", "--mca", "pml", "ob1"],
    ...["--mca", "mpi_yield_when_idle", "1"],
  ],
  mpich: (hosts: readonly string[]) => [
    ...["mpirun.mpich", "-iface", "eth0", "-launcher", "ssh", "-launcher-exec", AGENT],
    ...["-hosts", hosts.join(",")],
  ],
};

/** The command that starts Bun with `args` on each of `hosts`. */
export function commandOf(
  family: MpiFamily,
  hosts: readonly string[],
  args: readonly string[],
  options: readonly string[] = [],
): string[] {
  const ranks = [...options, "-n", String(hosts.length), process.execPath, "run", ...args];
  return [...LAUNCHERS[family](hosts), ...ranks];
}

interface JobOptions {
  /** Of the launcher. */
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Bun, as /proc has it. */
const RUNTIME = realpathSync(process.execPath);

export class Cluster implements AsyncDisposable {
  readonly #login: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(count: number) {
    const namespaces = ["--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc"];
    this.#login = Bun.spawn(["unshare", ...namespaces, SCRIPT, String(count)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
  }

  /** A login host, and node1 to node`count`. */
  static async open(count: number): Promise<Cluster> {
    const cluster = new Cluster(count);
    const { done } = await cluster.#login.stdout.getReader().read();
    if (done) throw new Error("Cannot make hosts on this machine: see above");
    return cluster;
  }

  /** Starts Bun with `args` as a job of one rank for each of `hosts`. */
  start(
    family: MpiFamily,
    hosts: readonly string[],
    args: readonly string[],
    { options = [], env = {} }: JobOptions = {},
  ): HostJob {
    return this.launch(commandOf(family, hosts, args, options), env);
  }

  /** Starts a launcher on the login host. */
  launch(command: readonly string[], env: Readonly<Record<string, string>> = {}): HostJob {
    return new HostJob(this.#onLogin(...command), env, () => this.#processes());
  }

  /** Runs a shell's command on a host to its end, and returns what it says. */
  async run(host: string, command: string): Promise<string> {
    const all = host === "login" ? ["sh", "-c", command] : [AGENT, host, command];
    await using child = Bun.spawn(this.#onLogin(...all), { stdin: "ignore", stdout: "pipe" });
    const text = await new Response(child.stdout).text();
    if ((await child.exited) !== 0) throw new Error(`${command} failed on ${host}: ${text}`);
    return text;
  }

  /** No packet comes from, or gets to, that host any more. */
  async cutOff(host: string): Promise<void> {
    await this.run("login", `ip link set ${host} down`);
  }

  /** Ends all its processes at once. */
  async kill(host: string): Promise<void> {
    // Whoever says so is among them.
    await this.run(host, "kill -KILL -1").catch(() => {});
  }

  /** How many processes of Bun there are on all hosts. */
  async ranks(): Promise<number> {
    const list = await this.run("login", "ls -l /proc/[0-9]*/exe 2>/dev/null || true");
    return list.split("\n").filter((line) => line.endsWith(` -> ${RUNTIME}`)).length;
  }

  /** All processes on all hosts: number, where in the kernel it waits, command. */
  async #processes(): Promise<string> {
    const show = 'echo "${p#/proc/} $(cat $p/wchan) $(tr "\\0" " " <$p/cmdline)"';
    return await this.run("login", `for p in /proc/[0-9]*; do ${show}; done 2>/dev/null`);
  }

  #onLogin(...command: string[]): string[] {
    const { pid } = this.#login;
    const namespaces = ["--net", "--uts", "--ipc", "--mount"];
    const processes = `--pid=/proc/${pid}/ns/pid_for_children`;
    return ["nsenter", "--target", String(pid), ...namespaces, processes, "--", ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#login.stdin.end();
    await this.#login.exited;
  }
}

/** A job on the hosts of a cluster, which is ended with it. */
export class HostJob implements AsyncDisposable {
  /** All that was written so far. */
  stdout = "";
  stderr = "";
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  readonly #look: () => Promise<string>;

  /** `look` tells what runs on the hosts, for whom it does not end. */
  constructor(
    command: string[],
    env: Readonly<Record<string, string>>,
    look: () => Promise<string>,
  ) {
    this.#look = look;
    this.#process = Bun.spawn(command, {
      env: {
        ...process.env,
        TMPDIR: "/dev/shm/tmp",
        NODE_COMPILE_CACHE: "",
        NO_COLOR: "1",
        ...env,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#read = Promise.all([
      pour(this.#process.stdout, (text) => (this.stdout += text)),
      pour(this.#process.stderr, (text) => (this.stderr += text)),
    ]);
  }

  /** Resolves once it has written `text`. */
  async said(text: string): Promise<void> {
    const over = (): boolean => this.#process.exitCode !== null;
    await until(`"${text}"`, () => this.stdout.includes(text) || over(), LIMIT_MS);
    if (!this.stdout.includes(text)) throw new Error(`it never said "${text}":\n${this.stderr}`);
  }

  /** Its launcher has ended, in time: its exit code. */
  async over(limit = LIMIT_MS): Promise<number> {
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), limit);
    const exitCode = await Promise.race([this.#process.exited, late.promise]);
    clearTimeout(timer);
    if (exitCode !== "late") return exitCode;
    const left = await this.#look();
    throw new Error(`no end after ${limit} ms\n${this.stdout}\n${this.stderr}\nleft:\n${left}`);
  }

  /** The same, and so has everybody else who may write. */
  async ended(limit = LIMIT_MS): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const exitCode = await this.over(limit);
    await this.#read;
    return { exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
