import { AsyncLocalStorage } from "node:async_hooks";
import { BsyncError } from "../errors.ts";
import { mainScript, mainText } from "../function/main-script.ts";
import type { FunctionRecord } from "../function/record.ts";
import { InlineLink, type Mail } from "../link/inline.ts";
import type { Link, LinkOwner, WorkerEnd } from "../link/link.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import { performance } from "../os/natives.ts";
import type { Opening } from "../wire/frames.ts";
import { introduce } from "../wire/greeting.ts";
import { newSession } from "../wire/session.ts";
import type { AwaitedTask, Backend, BackendOwner } from "./backend.ts";

/**
 * ms of tasks in one turn of the event loop, after which the rest waits for the next one: timers
 * and I/O have their turns between two tasks, as they have beside workers of their own.
 */
const TURN_MS = 1;

/** The worker's part of a link: a session, which the backend does not know. */
export interface InlineSession extends LinkOwner {
  /** It has begun a call that is not over, or loads what one needs. */
  readonly isBusy: boolean;
  serve(end: WorkerEnd): void;
  /** Goes on with what waits for the next turn of the event loop; false if nothing does. */
  goOn(): boolean;
  /** The pool is over. */
  abandon(): void;
}

/** What makes a backend inline. */
export interface InlineParts {
  /** Makes the session of a worker. */
  readonly newSession: (session: number) => InlineSession;
  /** Names a function, which is the one that runs. */
  readonly recordOf: (fn: ((...args: never[]) => unknown) | string) => FunctionRecord;
  /** Called once, when the pool is over. */
  readonly onClose: () => void;
}

/**
 * The backend of a pool whose tasks run in this very process: its workers take turns on this
 * thread. All else, as scheduler, codec and sessions, is that of any pool.
 */
export class InlineBackend implements Backend {
  readonly session = newSession();
  readonly opening: Opening = { main: mainScript(), text: mainText(), ...introduce(0) };
  readonly recordOf: InlineParts["recordOf"];
  readonly #parts: InlineParts;
  readonly #sessions = new Map<Link, InlineSession>();
  /** In the order of sending. */
  readonly #toWorkers: Mail[] = [];
  readonly #toController: Mail[] = [];
  readonly #progress: ProgressLoop;
  /** Tasks run in the asynchronous context of `open`, not in that of a caller. */
  readonly #inOpen = AsyncLocalStorage.snapshot();
  #owner: BackendOwner | null = null;
  #isOver = false;

  constructor(parts: InlineParts) {
    this.#parts = parts;
    this.recordOf = parts.recordOf;
    const source = {
      poll: () => this.poll(),
      isExpecting: () => this.#owner?.isExpecting ?? false,
      arm: () => !this.#hasMail,
      disarm: () => {},
      sleepMs: () => Infinity,
      yieldCore: () => {},
      peerSeesSleep: true,
    };
    this.#progress = new ProgressLoop(source, 0);
  }

  attach(owner: BackendOwner): void {
    this.#owner = owner;
  }

  connect(_: number, owner: LinkOwner): InlineLink {
    const session = this.#parts.newSession(this.session);
    const post = (queue: Mail[]) => (mail: Mail) => {
      queue.push(mail);
      this.#progress.wake();
    };
    const link = new InlineLink(owner, {
      toWorker: post(this.#toWorkers),
      toController: post(this.#toController),
      onClosed: () => session.abandon(),
      handOver: () => this.poll(),
    });
    link.serve(session);
    session.serve(link.end);
    this.#sessions.set(link, session);
    return link;
  }

  hostOf(): string {
    return this.opening.host;
  }

  rankOf(): null {
    return null;
  }

  disconnect(link: Link): void {
    this.#sessions.delete(link);
  }

  get #hasMail(): boolean {
    return this.#toWorkers.length + this.#toController.length > 0;
  }

  /** Runs what was sent by now, as far as one turn goes, and hands over what comes of it. */
  poll(): boolean {
    if (!this.#hasMail) return false;
    this.#inOpen(this.#handOver);
    return true;
  }

  /** A task that waits for another in its place comes here again. */
  readonly #handOver = (): void => {
    const end = performance.now() + TURN_MS;
    for (let left = this.#toWorkers.length; left > 0; left--) {
      const mail = this.#toWorkers.shift();
      if (mail === undefined) break;
      take(mail)?.onPause();
      if (performance.now() > end) break;
    }
    let last: LinkOwner | null = null;
    for (let mail = this.#toController.shift(); mail; mail = this.#toController.shift()) {
      last = take(mail) ?? last;
    }
    last?.onPause();
  };

  checkAlive(): void {}

  /**
   * Nothing more comes while this thread is blocked, but the time of a task that waits for a later
   * start.
   */
  wait(ms: number, task: AwaitedTask): void {
    if (this.#hasMail) return;
    for (const session of this.#sessions.values()) {
      if (this.#inOpen(() => session.goOn())) return;
    }
    const areBusy = [...this.#sessions.values()].every(({ isBusy }) => isBusy);
    if (task.state !== "running" && !areBusy) return Bun.sleepSync(ms);
    const why =
      task.state === "running"
        ? "it is asynchronous, or has not come to its end for another reason,"
        : "each worker is busy with a task that has not come to its end,";
    throw new BsyncError(
      "BSYNC_INLINE",
      `Cannot get the result of ${task.label} by blocking: ${why} and in an inline pool tasks ` +
        "run in this thread; await the handle",
    );
  }

  wake(): void {
    this.#progress.wake();
  }

  unref(): void {
    this.#progress.unref();
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.onClose();
  }
}

/** Hands a message over. */
function take({ arrive, bytes, buffers }: Mail): LinkOwner | null {
  const receiver = arrive();
  receiver?.onMessage(bytes, bytes.length, buffers);
  return receiver;
}
