import type { Backend } from "../backend/backend.ts";
import { type BsyncError, TimeoutError } from "../errors.ts";
import { performance } from "../os/natives.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task } from "../scheduler/task.ts";
import type { Verdict } from "../scheduler/verdict.ts";
import { Kind } from "../wire/frames.ts";
import { Activity } from "../wire/task-id.ts";
import { Alarm } from "./alarm.ts";
import { type Connection, describe } from "./connection.ts";
import { Liveness } from "./liveness.ts";
import type { Reclaimer } from "./reclaimer.ts";
import type { FrameSender } from "./sender.ts";
import type { Supervisor } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** ms between two checks whether workers live, for callers that block the event loop. */
const CHECK_ALIVE_MS = 50;

/** The parts of the pool that the timekeeper uses. */
interface TimekeeperParts {
  readonly backend: Backend;
  readonly scheduler: Scheduler;
  readonly sender: FrameSender;
  readonly values: ValueEncoder;
  readonly supervisor: Supervisor;
  readonly reclaimer: Reclaimer;
}

/** The controller, which settles tasks. */
export interface TimekeeperOwner {
  /** Whether every task is settled. */
  isIdle(): boolean;
  /** A task's time is over. */
  failOrRetry(task: Task, error: unknown): void;
  dispatch(): void;
}

/**
 * Acts on what is due in a pool: deadlines of tasks, stuck or late workers, recalls. The scheduler
 * says what is due, a timer of the event loop when.
 */
export class Timekeeper {
  readonly #parts: TimekeeperParts;
  readonly #owner: TimekeeperOwner;
  readonly #alarm = new Alarm(() => this.ring());
  readonly #liveness: Liveness;
  #checkedAlive = 0;

  constructor(parts: TimekeeperParts, owner: TimekeeperOwner) {
    this.#parts = parts;
    this.#owner = owner;
    const { connections } = parts.supervisor;
    // A worker that does not acknowledge a recall is replaced, though no task is pending.
    const isNeeded = () => !owner.isIdle() || connections.some(({ record }) => record.recalled);
    this.#liveness = new Liveness(connections, isNeeded, (connection) =>
      this.#onHolding(connection),
    );
  }

  /** Tasks are pending: looks periodically for held workers. */
  watch(): void {
    this.#liveness.watch();
  }

  /** Does what is due. */
  ring(): void {
    const { scheduler, reclaimer } = this.#parts;
    const now = performance.now();
    const verdicts = scheduler.due(now, { movedAt: this.#movedAt, mayBeHeld: this.#mayBeHeld });
    for (const verdict of verdicts) this.#execute(verdict);
    const isTaken = reclaimer.recalls.due(now);
    if (verdicts.length > 0 || isTaken) this.#owner.dispatch();
    else this.setAlarm(now);
  }

  /** For callers that block the event loop: looks for held or gone workers, if a look is due. */
  lookInTime(now: number): void {
    this.#liveness.lookInTime(now);
    if (now - this.#checkedAlive < CHECK_ALIVE_MS) return;
    this.#checkedAlive = now;
    this.#parts.backend.checkAlive();
  }

  /** Tasks were sent, or settled: the next deadline may be another one. */
  setAlarm(now: number): void {
    const { scheduler, reclaimer } = this.#parts;
    this.#alarm.set(Math.min(scheduler.nextDeadline, reclaimer.recalls.nextLook), now);
  }

  /** A worker was sent `Cancel`: it is stuck if nothing moves from here on. */
  onInterrupted(connection: Connection): void {
    this.#liveness.resetProgress(connection);
  }

  stop(): void {
    this.#alarm.clear();
    this.#liveness.stop();
    this.#parts.reclaimer.recalls.stop();
  }

  readonly #movedAt = (worker: WorkerRecord): number => {
    const connection = this.#parts.supervisor.connections[worker.index]!;
    if (connection.record !== worker) return -Infinity;
    if (connection.link?.isHeldByWrite) return performance.now();
    return this.#liveness.movedAt(connection);
  };

  /** Nothing has the thread of a worker that loads a module. */
  readonly #mayBeHeld = ({ index, mayBeHeldByParent }: WorkerRecord): boolean =>
    mayBeHeldByParent &&
    this.#parts.supervisor.connections[index]!.link?.currentTask !== Activity.Loading;

  #execute(verdict: Verdict): void {
    const { sender, supervisor } = this.#parts;
    const connection = supervisor.connections[verdict.worker.index]!;
    // A process can be replaced; a rank that is stuck is left alone until it answers.
    if (verdict.kind === "stuck") return supervisor.endStuck(connection);
    if (verdict.kind === "late") return supervisor.giveUp(connection);
    const { task, stage } = verdict;
    sender.cancel(connection, task);
    this.onInterrupted(connection);
    const { timeout } = task.options;
    const where = describe(connection);
    const message = {
      sent: `${where} was sent it, and has not begun it long after its timeout of ${timeout} ms`,
      begun: `it ran longer than its timeout of ${timeout} ms on ${where}, which does not answer`,
      returned: `it has ended on ${where}, but its result does not arrive`,
    }[stage];
    const error = new TimeoutError(`Cannot finish ${task.label}: ${message}`);
    this.#owner.failOrRetry(task, this.#parts.values.withOrigin(error, task, connection));
  }

  /** A worker is held by one call, or begins none: its other calls go to other workers. */
  #onHolding(connection: Connection): void {
    const now = performance.now();
    this.#parts.reclaimer.recalls.recall(connection, now);
    this.setAlarm(now);
  }
}
