import { decodeThrown } from "../codec/thrown.ts";
import { decodeValue } from "../codec/value.ts";
import { currentCall, type RunningCall } from "../context.ts";
import { AbortSignals, isAborted, reasonOf } from "../controller/abort-signals.ts";
import { Promise } from "../os/natives.ts";
import { notifyWaiter, promiseOf } from "../controller/settlement.ts";
import type { ValueEncoder } from "../controller/values.ts";
import { BsyncError, CancelledError, madeWithoutFrames, PoolClosedError } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";
import { recordOf as recordOfFunction } from "../function/reference-lazy.ts";
import type { MessageHandle, TaskOwner } from "../handle.ts";
import type { TaskFunction } from "../options.ts";
import { isWatched, whole } from "../os/whole.ts";
import { Estimates } from "../scheduler/estimates.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import { Callbacks } from "../watch/callbacks.ts";
import { Reports } from "../watch/reports.ts";
import { Kind } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import { INITIALIZER } from "../wire/task-id.ts";
import { Blocking } from "./blocking.ts";
import { ChildHandle } from "./child-handle.ts";
import { type Child, type Ending, ParentCall } from "./parent-call.ts";
import type { SessionPort } from "./port.ts";
import { Submissions } from "./submissions.ts";

/** Of the options of a child: as those of the pool, or of its parent. */
export const INHERITED: TaskOptions = Object.freeze({
  ...{ timeout: NaN, priority: NaN, retries: NaN },
  ...{ signal: null, worker: null, retryOn: null, onReport: null },
});

/**
 * The tasks that the calls of a session have submitted. It is to their handles what the controller
 * is to those of the program: it sends them to the controller, and hears of their ends.
 */
export class Children implements TaskOwner {
  readonly values: ValueEncoder;
  readonly blocking: Blocking;
  readonly estimates = new Estimates();
  readonly #port: SessionPort;
  readonly #submissions: Submissions;
  readonly #reports = new Reports(new Callbacks());
  readonly #signals = new AbortSignals((task, reason) => this.#abort(task, reason));
  readonly #parents = new Map<RunningCall, ParentCall>();
  /** By their numbers, until the controller has told of their ends. */
  readonly #children = new Map<number, Child>();
  /** Suspended parents that are to hear of ends. */
  readonly #ready = new Set<ParentCall>();
  #last = 0;
  /** Children that were written and not sent, and those sent since their parent was called. */
  #unsent = 0;
  #sent = 0;
  /** Where the child has thrown whose failure is the next frame. */
  #origin: string | null = null;

  /** `functionsFrom` is added to this process's numbers of functions. */
  constructor(port: SessionPort, functionsFrom: number, recordOf = recordOfFunction) {
    this.#port = port;
    this.#submissions = new Submissions(port, functionsFrom, recordOf);
    this.values = this.#submissions.values;
    this.blocking = new Blocking(port);
  }

  parentOf(call: RunningCall): ParentCall {
    let parent = this.#parents.get(call);
    if (parent === undefined) {
      parent = new ParentCall(call, ++this.#last, this.#port, {
        withdraw: (child) => this.#port.write(Kind.Withdraw, child.task.order),
        onOver: () => this.#forget(call),
      });
      call.children = parent;
      if (call.isOver) parent.isOver = true;
      else this.#parents.set(call, parent);
    }
    return parent;
  }

  /** The next number of a child. */
  takeNumber(): number {
    return ++this.#last;
  }

  /** Why a call may submit nothing; null where it may. */
  refusal(fn: FunctionRecord, { call, isOver }: ParentCall): { readonly error: unknown } | null {
    if (call.id === INITIALIZER) {
      const why = "an initializer runs before the pool has tasks; submit it once the pool is open";
      return { error: new BsyncError("BSYNC_NESTED", `Cannot call ${fn.label}: ${why}`) };
    }
    if (!isOver && !call.isOver && !this.#port.isClosed) return null;
    const why = this.#port.isClosed ? "the pool was closed" : `${call.label} is over`;
    return { error: new PoolClosedError(`Cannot call ${fn.label}: ${why}`) };
  }

  submit(
    parent: ParentCall,
    fn: TaskFunction | string,
    args: unknown[],
    options: TaskOptions,
  ): MessageHandle<unknown> {
    const record = this.values.recordOf(fn);
    const refusal = this.refusal(record, parent);
    if (refusal !== null) throw refusal.error;
    const known = this.estimates.of(record);
    const handle = new ChildHandle<unknown>(this.takeNumber(), known, options, this, parent);
    let payload: Payload;
    try {
      payload = this.values.keep(args);
    } catch (error) {
      this.#settle(handle, "failed", error);
      return handle;
    }
    this.send(parent, handle, payload);
    return handle;
  }

  /** Sends a task to the controller. */
  send(parent: ParentCall, task: Task, payload: Payload): void {
    const { signal } = task.options;
    if (signal !== null) {
      if (isAborted(signal)) return this.#settle(task, "cancelled", reasonOf(signal));
      this.#signals.watch(signal, task);
    }
    const child: Child = { task, parent, awaitedBy: new Set() };
    try {
      this.#submissions.write(parent, task, payload);
    } catch (error) {
      return this.#settle(task, "failed", error);
    }
    this.#children.set(task.order, child);
    parent.children.add(child);
    // The first leave at once, as their parent may compute for long before it awaits them, and the
    // others together with those that it submits in this turn.
    if (++this.#unsent * 4 < this.#sent) return this.#port.sendSoon();
    this.#sent += this.#unsent;
    this.#unsent = 0;
    this.#port.send();
  }

  /** A frame about a child. */
  receive(frame: Frame): void {
    const { kind, task: number } = frame;
    if (kind === Kind.Granted) return this.blocking.granted(number, frame.number);
    if (kind === Kind.Denied) return this.blocking.denied(number);
    if (kind === Kind.AwaitsItself) return this.#refuseWait(number, frame.number);
    if (kind === Kind.ChildOrigin) {
      this.#origin = String(this.values.decode(frame));
      return;
    }
    const origin = this.#origin;
    this.#origin = null;
    const child = this.#children.get(number);
    if (child === undefined) return;
    if (kind === Kind.ChildReport) {
      const from = { worker: frame.index, attempt: frame.number };
      return this.#reports.hear(child.task, from, () => this.values.decode(frame));
    }
    this.#children.delete(number);
    if (frame.index >= 0) child.task.record = { index: frame.index };
    if (kind === Kind.ChildResult) child.task.ran(frame.number);
    this.#end(this.#read(child, frame, origin));
  }

  #read(child: Child, frame: Frame, origin: string | null): Ending {
    const { decoding } = this.values;
    try {
      if (frame.kind === Kind.ChildResult) {
        return { child, state: "done", outcome: this.values.decode(frame) };
      }
      const outcome =
        origin === null
          ? decodeValue(frame.content, decoding)
          : decodeThrown(frame.content, decoding, () => origin);
      return { child, state: frame.number === 1 ? "cancelled" : "failed", outcome };
    } catch (error) {
      return { child, state: "failed", outcome: error };
    }
  }

  /** A child has ended: a call that waits for it hears of that when it has its place. */
  #end(ending: Ending): void {
    const { parent, awaitedBy } = ending.child;
    const waiting = [...awaitedBy, parent].find(({ isSuspended }) => isSuspended);
    if (waiting === undefined) return this.#tell(ending);
    waiting.endings.push(ending);
    this.#ready.add(waiting);
    this.#port.goOn();
  }

  /** The youngest suspended parent that has to hear of something goes on; false if none can. */
  resumeNext(): boolean {
    let youngest: ParentCall | null = null;
    for (const parent of this.#ready) {
      if (youngest === null || parent.serial > youngest.serial) youngest = parent;
    }
    if (youngest === null || !this.#port.resume(youngest.call)) return false;
    this.#ready.delete(youngest);
    for (const ending of youngest.endings.splice(0)) this.#tell(ending);
    youngest.onAwaiting();
    return true;
  }

  /** A parent is over: nothing of what it would hear matters to it, but its handles settle. */
  #forget(call: RunningCall): void {
    this.#parents.delete(call);
    for (const parent of this.#ready) {
      if (parent.call !== call) continue;
      this.#ready.delete(parent);
      for (const ending of parent.endings.splice(0)) this.#tell(ending);
    }
  }

  #tell({ child, state, outcome }: Ending): void {
    const { parent, task } = child;
    parent.hear();
    this.#leave(child);
    if (!task.settled) this.#settle(task, state, outcome);
    // Another call has waited for it, and went on in the parent's place.
    if (parent.isSuspended) parent.staySuspended();
  }

  /** Nobody waits for it any more. */
  #leave(child: Child): void {
    child.parent.children.delete(child);
    for (const waiting of child.awaitedBy) waiting.leaveChild(child);
    child.awaitedBy.clear();
  }

  #settle(task: Task, state: "done" | "failed" | "cancelled", outcome: unknown): void {
    const { signal } = task.options;
    if (signal !== null) this.#signals.forget(signal, task);
    task.state = state;
    task.outcome = outcome;
    task.payload = null;
    if (task.waiter !== null) notifyWaiter(task.waiter, task);
  }

  /** The session is over: nothing more is heard of its children. */
  close(): void {
    for (const child of [...this.#children.values()]) {
      if (child.task.settled) continue;
      const message = `${child.task.label} was cancelled: its pool is over`;
      this.#settle(
        child.task,
        "cancelled",
        madeWithoutFrames(() => new CancelledError(message)),
      );
    }
    this.#children.clear();
  }

  progress(task: Task): void {
    this.#flush();
    this.#tellNow(task);
    this.blocking.progress(task);
  }

  waitFor(task: Task, deadline: number): void {
    this.#flush();
    this.#tellNow(task);
    this.blocking.waitFor(task, deadline);
  }

  /** Its end may be kept for another call, which is suspended. */
  #tellNow(task: Task): void {
    if (task.settled || this.#children.has(task.order)) return;
    for (const { endings } of this.#ready) {
      const index = endings.findIndex(({ child }) => child.task === task);
      if (index !== -1) return this.#tell(endings.splice(index, 1)[0]!);
    }
  }

  cancel(task: Task, reason: unknown): boolean {
    if (task.settled) return false;
    const options = reason === undefined ? undefined : { cause: reason };
    this.#abort(task, new CancelledError(`${task.label} was cancelled`, options));
    return true;
  }

  #abort(task: Task, reason: unknown): void {
    if (task.settled) return;
    const child = this.#children.get(task.order);
    if (child !== undefined) this.#leave(child);
    this.#port.write(Kind.Withdraw, task.order);
    this.#settle(task, "cancelled", reason);
    this.#port.send();
  }

  promise(task: Task): Promise<unknown> {
    const refusal = isWatched ? whole(() => this.expect(task)) : this.expect(task);
    return refusal === null ? promiseOf(task) : Promise.race([refusal, promiseOf(task)]);
  }

  /**
   * The call that asks waits for a task from now on. If another call has submitted it, which left
   * the handle in a variable of a module, it may wait for itself by that: what is returned rejects
   * then.
   */
  expect(task: Task): Promise<never> | null {
    this.#flush();
    const child = this.#children.get(task.order);
    if (child === undefined || task.settled) return null;
    const { parent } = child;
    const waiting = this.#callerBeside(parent);
    if (!child.awaitedBy.has(waiting)) {
      waiting.awaitChild(child);
      const { id } = waiting.call;
      if (waiting !== parent)
        this.#port.write(Kind.AwaitsOther, id, { number: task.order, order: id });
    }
    return waiting === parent ? null : waiting.refusalOf(child);
  }

  /** A call waits for a child that waits for the call. */
  #refuseWait(number: number, id: number): void {
    const child = this.#children.get(number);
    if (child === undefined) return;
    const waiting = [...child.awaitedBy].find(({ call }) => call.id === id);
    if (waiting === undefined) return;
    child.awaitedBy.delete(waiting);
    waiting.refuse(child);
  }

  /** The call that runs here, if it is one of the session: else that parent. */
  #callerBeside(parent: ParentCall): ParentCall {
    const call = currentCall();
    if (call === null || call === parent.call || !call.isBeside(parent.call)) return parent;
    return this.parentOf(call);
  }

  #flush(): void {
    if (this.#unsent > 0) this.#port.send();
    this.#unsent = 0;
    this.#sent = 0;
  }
}
