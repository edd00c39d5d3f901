import { CancelledError, madeWithoutFrames } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";
import { JSON } from "../os/natives.ts";
import { ChildTask, type ChildOwner } from "../scheduler/child-task.ts";
import type { Estimates } from "../scheduler/estimates.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import { malformed } from "../wire/frame-layout.ts";
import { type ChildOptions, type FunctionDefinition, Kind } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import type { Watch } from "../watch/watch.ts";
import { readChildOptions, readDefinition, readNumbers } from "../wire/submissions.ts";
import { ChildOptionsOf } from "./child-options.ts";
import { type Connection, describe } from "./connection.ts";
import type { FrameSender } from "./sender.ts";
import { FUNCTIONS } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";
import { type Run, type Wait, Waits } from "./waits.ts";

/** The parts of the pool that children use. */
interface ChildrenParts {
  readonly scheduler: Scheduler;
  readonly estimates: Estimates;
  readonly values: ValueEncoder;
  readonly sender: FrameSender;
  readonly watch: Watch;
  /** The options of the pool's tasks. */
  readonly defaults: TaskOptions;
}

/** The controller, which counts tasks and settles them. */
export interface ChildrenOwner {
  /** Numbers a task. */
  takeOrder(): number;
  /** Why a task may not call `fn`; null where it may. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null;
  /** Queues a task. */
  admit(child: ChildTask): void;
  /** Settles a task that is not wanted any more. */
  stop(child: ChildTask, makeError: () => unknown): void;
  settle(child: ChildTask, to: "done" | "failed"): void;
}

/** A call that has submitted tasks, until it is over. */
interface Family {
  readonly submitter: Submitter;
  readonly parent: Task;
  /** How many attempts of it were in vain before. */
  readonly attempt: number;
  /** How many of its children's ends its worker was sent. */
  told: number;
  /** Its call waits, and for each of its children that is not settled. */
  waitsForAll: boolean;
}

/** A function that tasks submit. */
interface NamedFunction {
  /** The record by which it is called, whichever worker has named it. */
  readonly called: FunctionRecord;
  /** The one with the number that this worker gave it. */
  readonly named: FunctionRecord;
}

/** A worker whose tasks have submitted others. */
interface Submitter {
  readonly connection: Connection;
  /** By the numbers that it gave them. */
  readonly functions: Map<number, NamedFunction>;
  /** By their places, which the submitter uses again. */
  readonly options: Map<number, ChildOptions>;
  /** By the numbers of the calls. */
  readonly families: Map<number, Family>;
  /** Children that are not settled, by their numbers. */
  readonly children: Map<number, ChildTask>;
  /** The functions among the arguments of the child that is submitted next. */
  uses: readonly FunctionRecord[];
}

/**
 * Tasks that tasks have submitted. Their arguments and results pass through the controller as they
 * are: it decodes neither.
 *
 *   Submit → queue → Call ~~▶ a worker ~~▶ Result → ChildResult ~~▶ the parent's worker
 *   Suspended: the parent leaves its place      ChildResult: it goes on, before others begin
 */
export class Children implements ChildOwner {
  readonly #parts: ChildrenParts;
  readonly #owner: ChildrenOwner;
  readonly #submitters = new Map<Connection, Submitter>();
  /** One record of a function, whichever worker names it: its lengths are learned once. */
  readonly #records = new Map<string, FunctionRecord>();
  readonly #options: ChildOptionsOf;
  readonly #waits: Waits;

  constructor(parts: ChildrenParts, owner: ChildrenOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.#options = new ChildOptionsOf(parts.defaults);
    this.#waits = new Waits(parts.scheduler, {
      awaitedBy: (run) => this.#awaitedBy(run),
      refuse: (wait) => this.#refuseWait(wait),
    });
  }

  /** A frame of a worker's about its children. */
  receive(connection: Connection, frame: Frame): void {
    const { values } = this.#parts;
    const submitter = this.#submitterOf(connection);
    switch (frame.kind) {
      case Kind.SubmitFunction:
        return this.#define(submitter, readDefinition(values.decode(frame)));
      case Kind.SubmitOptions:
        submitter.options.set(frame.number, readChildOptions(values.decode(frame)));
        return;
      case Kind.SubmitUses:
        submitter.uses = readNumbers(values.decode(frame)).map(
          (id) => functionOf(submitter, id).named,
        );
        return;
      case Kind.Submit:
        return this.#submit(submitter, frame);
      case Kind.Suspended:
        return this.#suspend(submitter, frame);
      case Kind.AwaitsOther:
        return this.#awaitOther(submitter, frame);
      case Kind.Claim:
        return this.#claim(submitter, frame.task);
      case Kind.Withdraw: {
        const child = submitter.children.get(frame.task);
        if (child !== undefined) this.#cancel(child, "nobody waits for it any more");
      }
    }
  }

  #submitterOf(connection: Connection): Submitter {
    let submitter = this.#submitters.get(connection);
    if (submitter === undefined) {
      submitter = {
        ...{ connection, functions: new Map(), options: new Map(), families: new Map() },
        ...{ children: new Map(), uses: [] },
      };
      this.#submitters.set(connection, submitter);
    }
    return submitter;
  }

  #define({ functions }: Submitter, { id, reference, label }: FunctionDefinition): void {
    // In an inline pool each function is its own, whatever its text.
    const key = id < FUNCTIONS ? `${id}` : JSON.stringify(reference);
    let known = this.#records.get(key);
    if (known === undefined) this.#records.set(key, (known = { id, reference, label }));
    // Arguments name it by the number that its worker gave it.
    functions.set(id, { called: known, named: { id, reference, label } });
  }

  #submit(submitter: Submitter, frame: Frame): void {
    const { connection } = submitter;
    const { task: number, index: parentId } = frame;
    if (submitter.children.has(number)) throw malformed("a task submits a child twice");
    const parent = connection.record.taskAt(parentId);
    const functions = submitter.uses;
    submitter.uses = [];
    const fn = functionOf(submitter, frame.number).called;
    const given = submitter.options.get(frame.attempt - 1);
    if (given === undefined) throw malformed("a task has options that were never sent");
    if (parent === undefined || parent.state !== "running") {
      const why = `Cannot call ${fn.label}: the task that calls it is over`;
      const error = madeWithoutFrames(() => new CancelledError(why));
      return this.#refuse(submitter, number, error);
    }
    const family = this.#familyOf(submitter, parent, parentId);
    const refusal = this.#owner.refusal(fn);
    if (refusal !== null) {
      this.#refuse(submitter, number, refusal.error);
      return this.#hear(family, parentId);
    }
    const options = this.#options.within(parent, given);
    const { worker } = options;
    if (worker !== null && this.#parts.scheduler.workers[worker] === undefined)
      throw malformed("a task has no worker");
    const known = this.#parts.estimates.of(fn);
    const of = { parent, parentId, number, family };
    const child = new ChildTask(this.#owner.takeOrder(), known, options, of, this);
    const { format, body, buffers } = frame.content;
    child.payload = { format, body: body.slice(), buffers, functions } as Payload;
    submitter.children.set(number, child);
    this.#owner.admit(child);
  }

  /** A task blocks the thread of its worker until a child is settled: it is best run there. */
  #claim({ connection, children }: Submitter, number: number): void {
    const child = children.get(number);
    // Its end is on its way.
    if (child === undefined) return;
    const { sender, scheduler } = this.#parts;
    const { record } = connection;
    const { timeout, worker } = child.options;
    const isHere = child.state === "running" && child.record === record;
    if (
      child.state === "queued" &&
      timeout === Infinity &&
      (worker ?? record.index) === record.index
    ) {
      scheduler.nesting.assign(record, child);
      sender.call(connection, child);
    } else if (!isHere) {
      // Elsewhere it may come to wait for what has no other worker than this one.
      const isSafe = child.state === "running" && !record.hasSuspended && !record.hasPinned;
      if (!isSafe) sender.write(connection, Kind.Denied, number);
      return;
    }
    sender.write(connection, Kind.Granted, number, child.id, undefined, Infinity, 1, child.order);
  }

  #suspend({ connection, families }: Submitter, { task: id, number: heard, index }: Frame): void {
    // A task may wait for a map before it has submitted anything.
    const family = families.get(id);
    const isVoid = (family?.told ?? 0) !== heard;
    if (family !== undefined) family.waitsForAll = index === 1 && !isVoid;
    this.#parts.scheduler.nesting.suspend(connection.record, id, isVoid);
    this.#parts.watch.suspends(connection.record, id);
    this.#waits.checkSoon();
  }

  #awaitOther({ connection, children }: Submitter, { task: id, number }: Frame): void {
    const child = children.get(number);
    // Its end is on its way.
    if (child === undefined) return;
    this.#waits.add({ run: { worker: connection.record.index, id }, child });
  }

  *#awaitedBy({ worker, id }: Run): IterableIterator<ChildTask> {
    const submitter = this.#submitterAt(worker);
    const family = submitter?.families.get(id);
    if (submitter === undefined || family === undefined || !family.waitsForAll) return;
    for (const child of submitter.children.values()) if (child.family === family) yield child;
  }

  #submitterAt(worker: number): Submitter | undefined {
    for (const [{ record, isDone }, submitter] of this.#submitters)
      if (record.index === worker && !isDone) return submitter;
    return undefined;
  }

  /** A call waits for itself, by a child that another has submitted: its wait is refused. */
  #refuseWait({ child, run }: Wait): void {
    const { sender } = this.#parts;
    const { connection } = (child.family as Family).submitter;
    if (connection.isDone) return;
    sender.write(connection, Kind.AwaitsItself, child.number, run.id);
    sender.flush();
  }

  /** A worker has answered a child: the answer goes on to its parent's worker. */
  answered(connection: Connection, child: ChildTask, frame: Frame, to: "done" | "failed"): void {
    this.#waits.end(child);
    const { sender, values } = this.#parts;
    const submitter = this.#submitterFor(child);
    if (submitter !== null) {
      const { content, number: elapsed } = frame;
      if (to === "failed") {
        const origin = `${values.callOf(child, child.losses + 1)} on ${describe(connection)}`;
        const text = values.encode(origin, "origin");
        sender.write(submitter.connection, Kind.ChildOrigin, child.number, 0, text);
      }
      const kind = to === "failed" ? Kind.ChildFailure : Kind.ChildResult;
      this.#tell(submitter, child, kind, content, to === "failed" ? 0 : elapsed);
    }
    child.waiter = null;
    this.#owner.settle(child, to);
  }

  /** A child says something on the way. */
  report({ record }: Connection, child: ChildTask, { content }: Frame): void {
    const submitter = this.#submitterFor(child);
    if (submitter === null || child.settled) return;
    const { connection } = submitter;
    const { number, losses } = child;
    const { sender } = this.#parts;
    const attempt = losses + 1;
    sender.write(
      connection,
      Kind.ChildReport,
      number,
      attempt,
      content,
      Infinity,
      1,
      -1,
      record.index,
    );
  }

  /** A child is settled by this side. */
  settled(child: ChildTask): void {
    this.#waits.end(child);
    const submitter = this.#submitterFor(child);
    if (submitter === null) return;
    const content = this.#parts.values.encodeFailure(child.outcome);
    this.#tell(submitter, child, Kind.ChildFailure, content, Number(child.state === "cancelled"));
  }

  /** Where the end of a child is to be told; null where its parent's worker is gone. */
  #submitterFor({ family }: ChildTask): Submitter | null {
    const { submitter } = family as Family;
    return submitter.connection.isDone ? null : submitter;
  }

  /** A task that starts again on the same worker has children anew. */
  #familyOf(submitter: Submitter, parent: Task, parentId: number): Family {
    const { losses: attempt } = parent;
    let family = submitter.families.get(parentId);
    if (family?.parent !== parent || family.attempt !== attempt) {
      family = { submitter, parent, attempt, told: 0, waitsForAll: false };
      submitter.families.set(parentId, family);
    }
    return family;
  }

  /** The worker of a family's parent is sent the end of a child: the parent goes on. */
  #hear(family: Family, parentId: number): void {
    family.told++;
    family.waitsForAll = false;
    const { connection, families } = family.submitter;
    if (families.get(parentId) !== family) return;
    this.#parts.watch.resumes(connection.record, parentId);
    this.#parts.scheduler.nesting.resume(connection.record, parentId);
  }

  #tell(
    submitter: Submitter,
    child: ChildTask,
    kind: Kind,
    content: Parameters<FrameSender["write"]>[4],
    detail: number,
  ): void {
    const { connection, children } = submitter;
    const { sender } = this.#parts;
    const { number, parentId, record } = child;
    children.delete(number);
    const worker = record?.index ?? -1;
    sender.write(connection, kind, number, detail, content, Infinity, 1, -1, worker);
    this.#hear(child.family as Family, parentId);
  }

  /** A child that is not taken. */
  #refuse({ connection }: Submitter, number: number, error: unknown): void {
    const { sender, values } = this.#parts;
    const isCancelled = Number(error instanceof CancelledError);
    sender.write(connection, Kind.ChildFailure, number, isCancelled, values.encodeFailure(error));
  }

  /** A task is settled, or is to start again. It may have had children: they go on. */
  over(task: Task, connection: Connection): void {
    this.#waits.checkSoon();
    const families = this.#submitters.get(connection)?.families;
    // Of a worker that is lost, `lost` has to know which tasks ran there.
    if (families === undefined || connection.isDone) return;
    if (task.count === 1) families.delete(task.id);
    else for (const [id, { parent }] of families) if (parent === task) families.delete(id);
  }

  /** A worker is gone, and with it the tasks that it ran: nobody waits for their children. */
  lost(connection: Connection): void {
    const submitter = this.#submitters.get(connection);
    if (submitter === undefined) return;
    this.#submitters.delete(connection);
    for (const child of submitter.children.values()) {
      if (submitter.families.get(child.parentId) === child.family)
        this.#cancel(child, "the worker of its task was lost");
    }
  }

  #cancel(child: ChildTask, why: string): void {
    this.#owner.stop(child, () => new CancelledError(`${child.label} was cancelled: ${why}`));
  }
}

function functionOf({ functions }: Submitter, id: number): NamedFunction {
  const found = functions.get(id);
  if (found === undefined) throw malformed(`a task submits function ${id}, which was never sent`);
  return found;
}
