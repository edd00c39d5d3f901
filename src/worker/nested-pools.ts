import type { RunningCall } from "../context.ts";
import type { Children } from "../nested/children.ts";
import type { SessionPort } from "../nested/port.ts";
import { queueMicrotask } from "../os/natives.ts";
import { needStackToLoad } from "../os/stack.ts";
import { occupy, whole } from "../os/whole.ts";
import type { TaskPool } from "../task-pool.ts";
import type { Rules } from "../wire/frames.ts";
import type { FunctionRecord } from "../function/record.ts";
import type { WorkerEnd } from "../link/link.ts";
import { Kind } from "../wire/frames.ts";
import { type Answers, encoding } from "./answers.ts";
import type { Calls } from "./calls.ts";
import type { FindAtOnce, FunctionTable } from "./function-table.ts";
import type { SessionShares } from "./sharing.ts";
import { IdleWaits } from "./idle-waits.ts";
import { guarded } from "./ignored-signals.ts";

/** Of a call that has submitted nothing. */
const NO_CHILDREN = { heard: 0, waitsForAll: false };

/** The functions of an inline pool: those that were given. */
export interface FunctionsHere {
  readonly find: FindAtOnce;
  readonly recordOf: (fn: ((...args: never[]) => unknown) | string) => FunctionRecord;
}

/** The parts of a session that the children of its calls use. */
interface NestedParts {
  readonly answers: Answers;
  readonly calls: Calls;
  readonly functions: FunctionTable;
  readonly shares: SessionShares;
  link(): WorkerEnd | null;
  isClosed(): boolean;
  /** Whether a call may begin, or go on. */
  hasPlace(): boolean;
  /** Begins what can begin. */
  goOn(): void;
  /** Runs a queued call within the one that waits for it; false where that cannot be done. */
  runInPlace(id: number): boolean;
}

/** The pools of a session's tasks: loaded with the first one, as few programs have any. */
export class NestedPools {
  readonly #port: SessionPort;
  readonly #recordOf: FunctionsHere["recordOf"] | undefined;
  #workers = 0;
  #vacate: (() => void) | null = null;
  #functionsFrom = 0;
  /** Null before a task has asked for its pool. */
  children: Children | null = null;

  /** `recordOf` names the functions of an inline pool. */
  constructor(parts: NestedParts, recordOf?: FunctionsHere["recordOf"]) {
    this.#port = portOf(parts);
    this.#recordOf = recordOf;
  }

  /**
   * Loads what the pools of tasks need. From here on the timeouts of calls spare bsync's own code,
   * in whose midst they would leave half of a change behind (`os/whole.ts`). Before the first call
   * under a timeout that may come here, and so not within it.
   */
  prepare(): typeof import("../nested/pool-of.ts") {
    this.#vacate ??= occupy();
    return require("../nested/pool-of.ts") as typeof import("../nested/pool-of.ts");
  }

  /** The same, for a call that may never ask for its pool. */
  tryPrepare(): void {
    try {
      this.prepare();
    } catch {
      // An earlier task has changed a builtin: a task that asks for its pool gets the error.
    }
  }

  /** The session is over. */
  close(): void {
    this.children?.close();
    this.#vacate?.();
  }

  /** Whether a task blocks the thread until a child is settled. */
  get isBlocked(): boolean {
    return this.children?.blocking.isBlocked ?? false;
  }

  /** The rules of the pool. */
  keepTo({ workers, functionsFrom }: Rules): void {
    this.#workers = workers;
    this.#functionsFrom = functionsFrom;
  }

  /** The pool as a call sees it. */
  poolOf(call: RunningCall): TaskPool {
    needStackToLoad();
    // A module whose loading is interrupted is never loaded.
    return whole(() => this.#poolOf(call));
  }

  #poolOf(call: RunningCall): TaskPool {
    const nested = this.prepare();
    const recordOf = this.#recordOf;
    // Where all are in one process its numbers are good for all.
    const functionsFrom = recordOf === undefined ? this.#functionsFrom : 0;
    this.children ??= new nested.Children(this.#port, functionsFrom, recordOf);
    return nested.poolOf(this.children, this.#workers, call);
  }
}

function portOf(parts: NestedParts): SessionPort {
  const { answers, calls, functions, shares, link, isClosed, hasPlace, goOn, runInPlace } = parts;
  const sayIsSuspended = (call: RunningCall): void => {
    const { heard, waitsForAll } = call.children ?? NO_CHILDREN;
    const fields = { number: heard, index: Number(waitsForAll), order: call.id };
    answers.writeFields(Kind.Suspended, call.id, fields);
  };
  const suspend = (call: RunningCall): void => {
    calls.move(call, "suspended");
    sayIsSuspended(call);
    goOn();
    idleWaits.watch();
  };
  const idleWaits = new IdleWaits({
    calls,
    hasPlace,
    suspend: (call) => guarded(() => suspend(call)),
  });
  let isDue = false;
  const sendDue = (): void => {
    isDue = false;
    answers.send();
  };
  return {
    get isClosed() {
      return isClosed();
    },
    classFor: functions.decoding.classFor,
    classOf: encoding.classOf,
    shares,
    write: (kind, task, fields) => answers.writeFields(kind, task, fields),
    send: () => answers.send(),
    sendSoon() {
      if (isDue) return;
      isDue = true;
      queueMicrotask(() => guarded(sendDue));
    },
    poll: () => link()?.poll() ?? false,
    runInPlace,
    suspend: (call) => guarded(() => suspend(call)),
    sayIsSuspended,
    resume(call) {
      if (!hasPlace()) return false;
      calls.move(call, "awaiting");
      link()?.report(call.id);
      return true;
    },
    goOn,
  };
}
