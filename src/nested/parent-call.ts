import type { CallChildren, RunningCall } from "../context.ts";
import type { MapRuns } from "../map/map.ts";
import { queueMicrotask } from "../os/natives.ts";
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
  /** Its parent waits for it. */
  isAwaited: boolean;
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
  /** Ends of children that it has heard of. */
  #heard = 0;
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

  /** It waits for one thing more, or less. */
  await(more: 1 | -1): void {
    this.#awaited += more;
    if (more === 1) this.onAwaiting();
  }

  /** It hears of the end of a child. */
  hear(): void {
    this.#heard++;
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
    for (const run of this.runs) run.leave().catch(() => {});
    if (!isInVain) return;
    for (const child of this.children) if (child.isAwaited) this.#withdraw(child);
  }

  get #isWaiting(): boolean {
    return this.#awaited > 0 && this.call.stage === "awaiting" && !this.isOver;
  }

  #checkIn(steps: number): void {
    queueMicrotask(() => {
      if (steps > 1) return this.#checkIn(steps - 1);
      this.#isCheckDue = false;
      if (this.#isWaiting) this.#port.suspend(this.call, this.#heard);
    });
  }
}
