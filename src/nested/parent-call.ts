import type { CallChildren, RunningCall } from "../context.ts";
import type { MapRuns } from "../map/map.ts";
import { BsyncError, madeWithoutFrames } from "../errors.ts";
import { newPromise, queueMicrotask } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";
import type { SessionPort } from "./port.ts";

/**
 * Microtasks within which a task that has got a result comes to await the next: a promise of
 * promises takes a few.
 */
const STEPS = 6;

/** A task that was submitted here: a handle, or an item of a map. */
export interface Child {
  readonly task: Task;
  readonly parent: ParentCall;
  /** The calls that wait for it: its parent, and others that found its handle. */
  readonly awaitedBy: Set<ParentCall>;
}

/** A child's end, which its parent is to hear of. */
export interface Ending {
  readonly child: Child;
  readonly state: "done" | "failed" | "cancelled";
  readonly outcome: unknown;
}

/** A call that has submitted tasks, until it is over. */
export class ParentCall implements CallChildren {
  readonly call: RunningCall;
  /** Its place in the order in which calls became parents. */
  readonly serial: number;
  /** Those that are not settled. */
  readonly children = new Set<Child>();
  /** Ends that it has not heard of: it is suspended. */
  readonly endings: Ending[] = [];
  isOver = false;
  /** Its maps that are under way. */
  runs: MapRuns = new Set();
  readonly #port: SessionPort;
  readonly #withdraw: (child: Child) => void;
  readonly #onOver: () => void;
  /** What it waits for: children, and maps that are read. */
  #awaited = 0;
  /** Of those, its own children. */
  #awaitedOwn = 0;
  #heard = 0;
  /** Of the children of other calls that it waits for. */
  #refusals: Map<Child, ReturnType<typeof newPromise<never>>> | null = null;
  #isCheckDue = false;

  constructor(
    call: RunningCall,
    serial: number,
    port: SessionPort,
    { withdraw, onOver }: { withdraw: (child: Child) => void; onOver: () => void },
  ) {
    this.call = call;
    this.serial = serial;
    this.#port = port;
    this.#withdraw = withdraw;
    this.#onOver = onOver;
  }

  get isSuspended(): boolean {
    return this.call.stage === "suspended";
  }

  get heard(): number {
    return this.#heard;
  }

  get waitsForAll(): boolean {
    return this.#awaitedOwn === this.children.size;
  }

  /** It waits for one thing more, or less. */
  await(more: 1 | -1): void {
    this.#awaited += more;
    if (more === 1) this.onAwaiting();
  }

  /** It waits for a child: its own, or that of another call. */
  awaitChild({ parent, awaitedBy }: Child): void {
    awaitedBy.add(this);
    if (parent === this) this.#awaitedOwn++;
    this.await(1);
  }

  /** It does not any more. */
  leaveChild(child: Child): void {
    if (child.parent === this) this.#awaitedOwn--;
    this.#refusals?.delete(child);
    this.await(-1);
  }

  /** Rejects if it turns out that it may not wait for a child of another call. */
  refusalOf(child: Child): Promise<never> {
    this.#refusals ??= new Map();
    let refusal = this.#refusals.get(child);
    if (refusal === undefined) this.#refusals.set(child, (refusal = newPromise<never>()));
    return refusal.promise;
  }

  /** It may not wait for that child: the child waits for it. */
  refuse(child: Child): void {
    const refusal = this.#refusals?.get(child);
    this.leaveChild(child);
    const error = madeWithoutFrames(
      () =>
        new BsyncError(
          "BSYNC_NESTED",
          `Cannot wait for ${child.task.label} in ${this.call.label}: as far as can be seen, it ` +
            "waits for that task itself",
        ),
    );
    refusal?.reject(error);
  }

  /** A child of its has ended, which it may not wait for. */
  hear(): void {
    this.#heard++;
  }

  /** It has heard of an end, and stays where it is. */
  staySuspended(): void {
    this.#port.sayIsSuspended(this.call);
  }

  /** Gives up its place if it waits for nothing but children, by all that can be seen. */
  onAwaiting(): void {
    if (this.#isCheckDue || !this.#isWaiting) return;
    this.#isCheckDue = true;
    this.#checkIn(STEPS);
  }

  onOver(isInVain: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#onOver();
    for (const child of this.#refusals?.keys() ?? []) child.awaitedBy.delete(this);
    for (const run of this.runs) run.leave().catch(() => {});
    if (!isInVain) return;
    for (const child of this.children) {
      const { awaitedBy } = child;
      if (awaitedBy.has(this) && awaitedBy.size === 1) this.#withdraw(child);
    }
  }

  get #isWaiting(): boolean {
    return this.#awaited > 0 && this.call.stage === "awaiting" && !this.isOver;
  }

  #checkIn(steps: number): void {
    queueMicrotask(() => {
      if (steps > 1) return this.#checkIn(steps - 1);
      this.#isCheckDue = false;
      if (this.#isWaiting) this.#port.suspend(this.call);
    });
  }
}
