import { closeSync, statSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { mainScript } from "../../function/main-script.ts";
import { launcherHere, withoutRank } from "../../mpi/launcher/ancestry.ts";
import { clearInterval, own, performance, setInterval } from "../../os/natives.ts";
import { HeldWrite, Writing } from "../../os/output.ts";
import { statOf } from "../../os/proc.ts";
import { listenUnseen } from "../../os/unseen.ts";
import { CHILD_LINGER_MS, LINGER_MS } from "../../os/waits.ts";
import {
  DOORBELL_FD,
  LIFE_FD,
  type ServedRank,
  servedRank,
  worksInJob,
  writeStart,
} from "../../os/worker-env.ts";
import { killGroup } from "../../os/processes.ts";
import { Activity } from "../../wire/task-id.ts";
import { Doorbell } from "./doorbell.ts";
import type { LinkOwner, ControllerEnd } from "../link.ts";
import { createMemory } from "./memory.ts";
import {
  currentFolder,
  inLibrary,
  startFolder,
  withoutDebugger,
  workerCommand,
} from "../../os/runtime.ts";
import { watchUncaught } from "../../os/uncaught.ts";
import { SHARED_BYTES, SharedLink } from "./shared.ts";
import { type ExitStatus, unknownExit } from "../../os/exit.ts";
import type { MessageWriter } from "../../wire/writer.ts";

/** What a local worker inherits. */
export interface ProcessOptions {
  /** Its whole environment, as for `Bun.spawn`; that of this process when undefined. */
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd: string | undefined;
  /** The rank it works for, if it does. */
  readonly servedRank: ServedRank | null;
}

const alive = new Set<ProcessLink>();
let watching = false;

/** ms between two looks whether the workers have ended. */
const SEE_OFF_MS = 2;

/**
 * ms in which a worker that runs a task learns that the program is over, unless the task holds its
 * thread.
 */
const HEARS_MS = 100;

/** Workers end with the program, whatever they are doing, once their output has been read. */
function endAtExit(link: ProcessLink): void {
  alive.add(link);
  if (watching) return;
  watching = true;
  watchUncaught(() => alive.size > 0, endAll);
  listenUnseen("exit", endAll);
}

function endAll(): void {
  for (const link of alive) link.shutDown();
  for (;;) {
    for (const link of alive) if (link.isOver()) alive.delete(link);
    if (alive.size === 0) return;
    Bun.sleepSync(SEE_OFF_MS);
  }
}

/**
 * A link to a process on this machine, started here: the same Bun, with bsync's own entry as its
 * script (in a bundled program, where no such file is, with the program itself). Messages go
 * through shared memory. Bun's IPC channel carries none: it shows either side when the other is
 * gone.
 */
export class ProcessLink implements ControllerEnd {
  readonly rank = null;
  readonly #process: Bun.Subprocess;
  readonly #channel: SharedLink;
  readonly #doorbell: Doorbell;
  /** Open as long as the worker may live: the system ends the worker when this end is closed. */
  #life: number | null = null;
  #owner: LinkOwner;
  #gone = false;
  /** Kills a process that was closed and does not end. */
  #lastResort: ReturnType<typeof setInterval> | null = null;
  /** When it is killed after it was closed, unless it writes. */
  #lateAt = Infinity;
  /** When it is killed if it has not seen that it has to end. */
  #deafAt = Infinity;
  /** Its output from the close on. */
  #writing: Writing | null = null;
  readonly #heldWrite: HeldWrite;

  /**
   * `onDoorbell` is called when the worker rings, `onBacklog` when there is something left to send.
   */
  constructor(
    options: ProcessOptions,
    owner: LinkOwner,
    onDoorbell: () => void,
    onBacklog: () => void,
  ) {
    this.#owner = owner;
    const { fd, memory } = createMemory(SHARED_BYTES, startFor(options));
    let child: Bun.Subprocess | null = null;
    try {
      child = this.#process = this.#start(options, fd);
      this.#heldWrite = new HeldWrite(child.pid);
      this.#process.unref();
      endAtExit(this);
      const handOver: LinkOwner = {
        onMessage: (bytes, length, buffers) => this.#owner.onMessage(bytes, length, buffers),
        onPause: () => this.#owner.onPause(),
        onTorn: (buffer) => this.#owner.onTorn?.(buffer),
        onLost: (ending) => this.#malformed(ending),
      };
      const doorbell = new Doorbell(this.#process.stdio[DOORBELL_FD] as number, onDoorbell);
      this.#doorbell = doorbell;
      this.#life = this.#process.stdio[LIFE_FD] as number;
      this.#channel = new SharedLink(memory, 0, handOver, () => doorbell.ring(), onBacklog);
    } catch (error) {
      // No caller will ever have this link.
      this.#gone = true;
      child?.kill("SIGKILL");
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  send(message: MessageWriter): void {
    this.#channel.send(message);
  }

  prewake(): void {
    this.#channel.prewake();
  }

  poll(): boolean {
    return this.#channel.poll();
  }

  get currentTask(): number | undefined {
    return this.#channel.currentTask;
  }

  recall(): number {
    return this.#channel.recall();
  }

  get isSeen(): boolean {
    return this.#channel.currentTask !== undefined;
  }

  get isCaughtUp(): boolean {
    return this.#channel.isCaughtUp;
  }

  get reading(): number | null {
    return this.#channel.reading;
  }

  get received(): number {
    return this.#channel.received;
  }

  /** Whether there is something that the worker has not read. */
  get unread(): boolean {
    return this.#channel.unread;
  }

  meet(): void {}

  close(): void {
    this.#owner = { onMessage() {}, onPause() {}, onLost() {} };
    this.endWithin(LINGER_MS);
    this.#channel.close();
    this.#doorbell.close();
  }

  kill(): void {
    // The pid of a process that is gone may be another one's by now.
    if (this.#gone) return;
    this.#process.kill("SIGKILL");
    killGroup(this.#process.pid);
  }

  /** It has so many ms to end, unless earlier output of its tasks is still on its way. */
  endWithin(ms: number): void {
    if (this.#gone || this.#lastResort !== null) return;
    this.#lateAt = performance.now() + ms;
    const writing = new Writing(this.#process.pid);
    this.#writing = writing;
    this.#lastResort = setInterval(() => {
      if (!writing.goesOn) this.kill();
    }, ms);
    this.#lastResort.unref();
  }

  /** Whether a write keeps it from going on just now; not, if a loop writes. */
  get isHeldByWrite(): boolean {
    return !this.#gone && this.#heldWrite.goesOn;
  }

  /**
   * This process has come to its end: the worker is to end, too, once its tasks' output has left.
   */
  shutDown(): void {
    if (this.#gone || this.#lateAt !== Infinity) return;
    const now = performance.now();
    this.#lateAt = now + CHILD_LINGER_MS;
    this.#deafAt = now + HEARS_MS;
    this.#writing = new Writing(this.#process.pid);
    if (this.#doorbell !== null) this.#doorbell.ringLast();
    else this.#process.disconnect();
  }

  /** Whether it has ended, found without the event loop; a process that is late is killed. */
  isOver(): boolean {
    if (this.#gone) return true;
    if (endOf(this.#process.pid) === null && this.#mayStay(performance.now())) return false;
    this.kill();
    return true;
  }

  #mayStay(now: number): boolean {
    const hasHeard = (this.#channel.currentTask ?? Activity.Idle) === Activity.Idle;
    if (now >= this.#deafAt && !hasHeard) return false;
    return now < this.#lateAt || this.#writing?.goesOn === true;
  }

  /** Where a blocked thread waits for the worker's rings; null where none will come. */
  get blockingEnd(): number | null {
    return this.#doorbell.blockingEnd;
  }

  takeRings(): void {
    this.#doorbell.takeRings();
  }

  /** Before this process sleeps; false if there is something to do. */
  arm(): boolean {
    return this.#channel.arm();
  }

  disarm(): void {
    this.#channel.disarm();
  }

  /**
   * Looks whether the process is still there, for callers that block the event loop. Its last
   * messages are received first.
   */
  checkAlive(): void {
    if (this.#gone) return;
    const { exitCode, signalCode } = this.#process;
    const ended = exitCode !== null || signalCode !== null;
    const end = ended ? ending(exitCode, signalCode) : endOf(this.#process.pid);
    if (end === null) return;
    while (this.#channel.poll());
    this.#lose(end);
  }

  #start(options: ProcessOptions, memory: number): Bun.Subprocess {
    const env = environment(options.env);
    const cwd = startFolder();
    return Bun.spawn(workerCommand(env), {
      ...(cwd === undefined ? {} : { cwd }),
      env,
      stdio: ["ignore", "inherit", "inherit", "pipe", memory, "pipe"],
      argv0: process.argv0,
      serialization: "advanced",
      // A session and a group of its own: a Ctrl-C at the terminal is for the parent to handle.
      detached: true,
      // It carries nothing: its end shows the worker that this process is gone.
      ipc: () => {},
      onExit: (_, exitCode) => {
        // Its last messages count.
        if (!this.#gone) while (this.#channel.poll());
        this.#lose(ending(exitCode, this.#process.signalCode));
      },
    });
  }

  #malformed(ending: ExitStatus): void {
    this.kill();
    this.#lose(ending);
  }

  #lose(ending: ExitStatus): void {
    alive.delete(this);
    if (this.#life !== null) closeSync(this.#life);
    this.#life = null;
    if (this.#lastResort !== null) clearInterval(this.#lastResort);
    if (this.#gone) return;
    this.#gone = true;
    // Programs that its tasks have started would hold open inherited files, as a launcher's pipes.
    killGroup(this.#process.pid);
    this.#doorbell.close();
    this.#owner.onLost(ending);
  }
}

/** By number; of two names for one (SIGABRT, SIGIOT) the first. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .toReversed(),
);

/** Where /proc/pid/stat has the status, counted from the state, its third field (proc(5)). */
const STATUS_FIELD = 52 - 3;

/**
 * The exit status of a child that was not waited for, from /proc/pid/stat; null if it runs. The
 * status is that of wait(2): exit code << 8, or the signal.
 */
function endOf(pid: number): ExitStatus | null {
  const fields = statOf(pid);
  if (fields === null) return isThere(pid) ? null : unknownExit("ended");
  if (!/^[ZXx]/.test(fields[0]!)) return null;
  const status = Number(fields[STATUS_FIELD]);
  const signal = SIGNAL_NAMES.get(status & 0x7f);
  return signal === undefined ? ending((status >> 8) & 0xff, null) : ending(null, signal);
}

/** Whether there is such a process, where /proc does not show it. */
function isThere(pid: number): boolean {
  try {
    return own.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function environment(env: ProcessOptions["env"]): Record<string, string> {
  return withoutDebugger(withoutRank(env ?? process.env));
}

function startFor({ cwd, servedRank }: ProcessOptions): Uint8Array {
  return writeStart({
    parent: process.pid,
    servedRank,
    inJob: isInJob(),
    cwd: folderFor(cwd),
    main: mainScript(),
    atOnce: inLibrary(),
    argv: process.argv.slice(1),
    execArgv: process.execArgv,
  });
}

/** The working folder of a worker's tasks; null for the one it is started in. */
function folderFor(cwd: string | undefined): string | null {
  if (cwd === undefined) return currentFolder() ?? null;
  const folder = resolve(cwd);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder;
  throw new Error(`its cwd ${JSON.stringify(folder)} is no folder`);
}

/** Whether this process is a rank among others, or works for one. */
function isInJob(): boolean {
  // Some launchers do not pass the number of ranks.
  const { size = 1 } = launcherHere() ?? {};
  return size !== 1 || worksInJob() || servedRank() !== null;
}

function ending(exitCode: number | null, signalCode: string | number | null): ExitStatus {
  if (signalCode === null) return { exitCode, signal: null, text: `exited with code ${exitCode}` };
  const signal = String(signalCode);
  return { exitCode: null, signal, text: `was killed by ${signal}` };
}
