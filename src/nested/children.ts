import { decodeThrown } from "../codec/thrown.ts";
import { decodeValue } from "../codec/value.ts";
import type { RunningCall } from "../context.ts";
import { AbortSignals, isAborted, reasonOf } from "../controller/abort-signals.ts";
import { notifyWaiter, promiseOf } from "../controller/settlement.ts";
import { ValueEncoder } from "../controller/values.ts";
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
import { type ChildOptions, Kind } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import { INITIALIZER } from "../wire/task-id.ts";
import { Blocking } from "./blocking.ts";
import { ChildHandle } from "./child-handle.ts";
import { type Child, type Ending, ParentCall } from "./parent-call.ts";
import type { SessionPort } from "./port.ts";

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
  readonly #functionsFrom: number;
  readonly #reports = new Reports(new Callbacks());
  readonly #signals = new AbortSignals((task, reason) => this.#abort(task, reason));
  readonly #parents = new Map<RunningCall, ParentCall>();
  /** By their numbers, until the controller has told of their ends. */
  readonly #children = new Map<number, Child>();
  /** Suspended parents that are to hear of ends. */
  readonly #ready = new Set<ParentCall>();
  readonly #records = new WeakMap<FunctionRecord, FunctionRecord>();
  readonly #defined = new Set<number>();
  /** The places of options, by all that is told of them. */
  readonly #options = new Map<string, number>();
  #last = 0;
  /** Children that were written and not sent, and those sent since their parent was called. */
  #unsent = 0;
  #sent = 0;
  /** Where the child has thrown whose failure is the next frame. */
  #origin: string | null = null;

  /** `functionsFrom` is added to this process's numbers of functions. */
  constructor(port: SessionPort, functionsFrom: number, recordOf = recordOfFunction) {
    this.#port = port;
    this.blocking = new Blocking(port);
    this.#functionsFrom = functionsFrom;
    this.values = new ValueEncoder((fn) => this.#numbered(recordOf(fn)), port);
    this.values.shares = port.shares;
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
    const child: Child = { task, parent, isAwaited: false };
    this.#children.set(task.order, child);
    parent.children.add(child);
    this.#write(parent, task, payload);
    // The first leave at once, as their parent may compute for long before it awaits them, and the
    // others together with those that it submits in this turn.
    if (++this.#unsent * 4 < this.#sent) return this.#port.sendSoon();
    this.#sent += this.#unsent;
    this.#unsent = 0;
    this.#port.send();
  }

  #write({ call }: ParentCall, task: Task, payload: Payload): void {
    const attempt = 1 + this.#placeOf(task.options);
    const functions = this.values.functionsOf(payload);
    for (const record of [task.fn, ...functions]) this.#define(record);
    if (functions.length > 0) {
      const uses = this.values.encode(
        functions.map(({ id }) => id),
        "functions",
      );
      this.#port.write(Kind.SubmitUses, task.order, { content: uses });
    }
    const content = this.values.encodePayload(payload);
    const { order } = task;
    const fields = { number: task.fn.id, content, attempt, order, index: call.id };
    this.#port.write(Kind.Submit, order, fields);
  }

  #define({ id, reference, label }: FunctionRecord): void {
    if (this.#defined.has(id)) return;
    this.#defined.add(id);
    const content = this.values.encode({ id, reference, label }, "function");
    this.#port.write(Kind.SubmitFunction, 0, { content });
  }

  /** The place of a child's options among those that the controller has. */
  #placeOf(options: TaskOptions): number {
    const { timeout, priority, retries, worker } = options;
    const key = `${timeout} ${priority} ${retries} ${worker}`;
    let place = this.#options.get(key);
    if (place !== undefined) return place;
    place = this.#options.size;
    this.#options.set(key, place);
    const told: ChildOptions = { timeout, priority, retries, worker };
    this.#port.write(Kind.SubmitOptions, 0, { content: this.values.encode(told, "options") });
    return place;
  }

  /** A record whose number no other worker has. */
  #numbered(record: FunctionRecord): FunctionRecord {
    let numbered = this.#records.get(record);
    if (numbered === undefined) {
      const { id, label, reference } = record;
      numbered = { id: this.#functionsFrom + id, label, reference };
      this.#records.set(record, numbered);
    }
    return numbered;
  }

  /** A frame about a child. */
  receive(frame: Frame): void {
    const { kind, task: number } = frame;
    if (kind === Kind.Granted) return this.blocking.granted(number, frame.number);
    if (kind === Kind.Denied) return this.blocking.denied(number);
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
      const isCancelled = outcome instanceof CancelledError && origin === null;
      return { child, state: isCancelled ? "cancelled" : "failed", outcome };
    } catch (error) {
      return { child, state: "failed", outcome: error };
    }
  }

  /** A child has ended: its parent hears of that when it has its place. */
  #end(ending: Ending): void {
    const { parent } = ending.child;
    if (!parent.isSuspended) return this.#tell(ending);
    parent.endings.push(ending);
    this.#ready.add(parent);
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

  /** Whether a suspended parent waits for its place. */
  get hasReady(): boolean {
    return this.#ready.size > 0;
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
    child.parent.hear();
    this.#leave(child);
    if (!child.task.settled) this.#settle(child.task, state, outcome);
  }

  /** Its parent does not wait for it any more. */
  #leave(child: Child): void {
    if (!child.parent.children.delete(child)) return;
    if (child.isAwaited) child.parent.await(-1);
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
    this.blocking.progress(task);
  }

  waitFor(task: Task, deadline: number): void {
    this.#flush();
    this.blocking.waitFor(task, deadline);
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
    if (isWatched) whole(() => this.expect(task));
    else this.expect(task);
    return promiseOf(task);
  }

  /** The parent of a task waits for it from now on. */
  expect(task: Task): void {
    this.#flush();
    const child = this.#children.get(task.order);
    if (child === undefined || child.isAwaited || task.settled) return;
    child.isAwaited = true;
    child.parent.await(1);
  }

  #flush(): void {
    if (this.#unsent > 0) this.#port.send();
    this.#unsent = 0;
    this.#sent = 0;
  }
}
