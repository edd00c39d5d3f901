import { closeSync } from "node:fs";
import type { LinkOwner } from "../link/link.ts";
import { Doorbell } from "../link/local/doorbell.ts";
import { mapMemory } from "../link/local/memory.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import { SHARED_BYTES, SharedLink } from "../link/local/shared.ts";
import { exitOnceWritten, written } from "../os/output.ts";
import { endUnseen, forgetAll, listenUnseen } from "../os/unseen.ts";
import { DOORBELL_FD, LIFE_FD, MEMORY_FD, takeStart, type WorkerStart } from "../os/worker-env.ts";
import { exitProcess, killDescendants } from "../os/processes.ts";
import { Activity } from "../wire/task-id.ts";
import { guarded, surviveStrayErrors } from "./ignored-signals.ts";
import { Session } from "./session.ts";
import { writeAtOnce } from "./stdio.ts";
import { own } from "../os/natives.ts";
import { readHead } from "../wire/reader.ts";

/** µs that a worker looks for its next call before it sleeps. */
const SPIN_US = 100;

/**
 * Serves the process that started this one, which has left `start`. Returns at once; the event loop
 * does the rest.
 */
export function serveParent(start: WorkerStart | null = takeStart()): void {
  if (start === null) throw new Error("Cannot serve: this process was not started as a worker");
  const { servedRank, cwd } = start;
  takeNames(start);
  if (cwd !== null) process.chdir(cwd);
  surviveStrayErrors(servedRank === null ? "local" : `process of rank ${servedRank.rank}`);
  // Ctrl-C reaches the whole process group: the parent handles it. This listener is visible: a
  // library would end a process without one, and it is to go on.
  own.on("SIGINT", ignore);
  listenUnseen("disconnect", end);
  process.exit = (code) => exitOnceWritten(Number(code ?? process.exitCode ?? 0));
  writeAtOnce();
  serveMemory(start.parent);
}

/** The names and arguments of this process are those of its program. */
function takeNames({ main, argv, execArgv }: WorkerStart): void {
  (Bun as { main: string }).main = main;
  process.argv.splice(1, Infinity, ...argv);
  process.execArgv = [...execArgv];
}

/** Until the parent closes this process, or goes itself. */
let isServing = true;
/** Frees what keeps this process running for its parent. */
let letGo: () => void = () => {};

function ignore(): void {}

/** Nothing comes any more. The process ends as any does: once nothing is left to do or to write. */
function end(): void {
  if (!isServing) return;
  isServing = false;
  endUnseen("disconnect", end);
  forgetAll("message");
  if (process.connected) process.disconnect?.();
  letGo();
  void written(false).then(() => exitProcess(0));
}

function serveMemory(parent: number): void {
  const memory = mapMemory(MEMORY_FD, SHARED_BYTES);
  // From here on no process can make it shorter, which would be fatal to either side: it has no
  // name, either.
  closeSync(MEMORY_FD);
  const link: SharedLink = new SharedLink(
    memory,
    1,
    ownerOf(() => link, parent),
    () => doorbell.ring(),
    () => progress.wake(),
  );
  const poll = () => link.poll();
  const progress = new ProgressLoop(
    {
      poll: () => guarded(poll),
      isExpecting: () => isServing,
      arm: () => guarded(() => link.arm()),
      disarm: () => guarded(() => link.disarm()),
      sleepMs: () => Infinity,
      yieldCore: () => {},
      peerSeesSleep: true,
    },
    SPIN_US,
  );
  const doorbell = new Doorbell(DOORBELL_FD, progress.onDoorbell, end);
  letGo = () => {
    link.report(Activity.Idle);
    link.close();
    doorbell.close();
    progress.unref();
  };
  // The IPC channel carries nothing here, but only a listener learns when the parent is gone.
  listenUnseen("message", ignore);
  progress.wake();
}

function ownerOf(link: () => SharedLink, parent: number): LinkOwner {
  let session: Session | null = null;
  let isTied = false;
  const sayLast = (): void => {
    try {
      session?.sendAnswers();
    } catch {
      // Whatever has ended the process may prevent that, too.
    }
  };
  return {
    onMessage(bytes, length, buffers) {
      if (session === null) {
        session = new Session(readHead(bytes, length).session, SPIN_US, end);
        session.serve(link());
        listenUnseen("exit", sayLast);
      }
      session.receive(bytes, length, buffers);
    },
    onPause() {
      session?.answer();
      if (isTied || session === null) return;
      isTied = true;
      tieTo(parent);
    },
    onFlushed: () => session?.onFlushed(),
    onLost: () => exitProcess(1),
  };
}

/**
 * From now on this process ends when its parent does, in any way, even if a task holds the thread.
 * It comes after the first answer, as it takes a millisecond, and before any call.
 */
function tieTo(parent: number): void {
  const { endWith } = require("../os/libc.ts") as typeof import("../os/libc.ts");
  endWith(LIFE_FD);
  if (process.ppid !== parent) end();
  // Programs that have left its group would hold open inherited files, as a launcher's pipes.
  listenUnseen("exit", () => killDescendants(process.pid));
}
