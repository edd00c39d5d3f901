import { Chunk } from "./chunk.ts";
import { costOf } from "./costs.ts";
import { observe } from "./estimates.ts";
import type { Placement } from "./placement.ts";
import type { Task, TaskState } from "./task.ts";
import type { WorkerRecord } from "./worker-record.ts";
import type { WorkerSets } from "./worker-sets.ts";

/** The owner of chunks, which counts the tasks that are not settled. */
export interface ChunkOwner {
  /** Calls of a chunk have become a task of their own. */
  added(part: Chunk): void;
  /** All calls of a chunk are settled: of those that were left to it. */
  ended(chunk: Chunk): void;
}

/** The scheduler, which moves and queues tasks. */
interface TaskMover {
  readonly sets: WorkerSets;
  moveTask(task: Task, to: TaskState): void;
  submitAgain(task: Task): void;
}

/** Takes tasks back from workers that are gone, or hold calls that they have not begun. */
export class Requeue {
  readonly #scheduler: TaskMover;
  readonly #placement: Placement;
  #owner: ChunkOwner | null = null;

  constructor(scheduler: TaskMover, placement: Placement) {
    this.#scheduler = scheduler;
    this.#placement = placement;
  }

  /** Called when chunks are cut. */
  set owner(owner: ChunkOwner) {
    this.#owner = owner;
  }

  /**
   * A worker is gone. Tasks that it had not begun are queued again, in their old places. The task
   * it ran, and those before it whose answers are lost with it, are returned for the caller to
   * settle, without those settled before. `begun` is the number of the last task it had begun, 0
   * for none; undefined where that is not known: then the first in flight is taken for the one it
   * ran.
   */
  lose(worker: WorkerRecord, begun?: number): Task[] {
    const { sets } = this.#scheduler;
    if (worker.set === sets.gone) return [];
    sets.move(worker, sets.gone);
    worker.recalled = false;
    const inFlight = worker.takeAll();
    const last = begun === undefined ? 0 : inFlight.findIndex((task) => task.offsetOf(begun) >= 0);
    const lost: Task[] = [];
    inFlight.forEach((task, i) => {
      if (task.state !== "running") return;
      if (task.count > 1 && i === last) this.#loseChunk(task as Chunk, begun, lost);
      else if (task.count > 1) this.#again(task as Chunk);
      // An item whose answer is lost with its worker is not to blame.
      else if ((i > last || (i < last && task instanceof Chunk)) && !worker.hasBegun(task)) {
        this.#scheduler.submitAgain(task);
      } else this.#lose(task, lost);
    });
    worker.parents?.takeWaiting().forEach((task, id) => {
      if (task.state !== "running") return;
      if (task.count > 1) this.#loseChunk(task as Chunk, id, lost);
      else this.#lose(task, lost);
    });
    return lost;
  }

  /**
   * µs of work behind a worker's first `begun` tasks that another worker could do; 0 for none. It
   * is at the call of the number `at`.
   */
  heldBy(worker: WorkerRecord, begun: number, at = 0): number {
    const last = worker.inFlight.at(begun - 1);
    const us = last === undefined || last.count === 1 ? 0 : this.#heldIn(last, at);
    return us + worker.heldBehind(begun, (task) => task.options.worker !== null);
  }

  /**
   * A recalled worker certainly begins nothing behind `begun` (the number of a task, which takes
   * `elapsed` µs at least; 0 for none): tasks behind it are queued again, in their old places.
   * Those before `begun` are done, and their answers are on their way.
   */
  reclaim(worker: WorkerRecord, begun: number, elapsed: number): void {
    const inFlight = worker.takeAll();
    // Those that have waited for their children have begun; so have those before the running one.
    const parents = worker.parents === null ? [] : worker.takeBegun(inFlight);
    const kept = inFlight.splice(0, 1 + inFlight.findIndex((task) => task.offsetOf(begun) >= 0));
    kept.push(...worker.takeBegun(inFlight));
    const last = kept.at(-1);
    if (last === undefined) worker.stuckAt = Infinity;
    else if (!last.settled && observe(last.fn, elapsed)) this.#placement.onLong();
    if (last !== undefined && last.count > 1 && !this.#cutBehind(last as Chunk, begun)) kept.pop();
    worker.keep([...parents, ...kept]);
    for (const task of inFlight) {
      worker.quota += task.count;
      if (task.state !== "running") continue;
      if (task.count > 1) this.#again(task as Chunk);
      else this.#scheduler.submitAgain(task);
    }
  }

  /** Queues the calls of a chunk again that lie behind the one of that number. */
  leaveRest(chunk: Chunk, id: number): void {
    this.#cutBehind(chunk, id);
  }

  /** µs of a chunk's calls behind the one that its worker is at. */
  #heldIn(chunk: Task, at: number): number {
    if (chunk.state !== "running" || chunk.options.worker !== null) return 0;
    const begun = Math.max(0, chunk.offsetOf(at));
    return costOf(chunk) * (1 - (begun + 1) / chunk.count);
  }

  /**
   * A worker is gone that was at the call `begun` of a chunk. That is lost, unless it is answered;
   * calls that it had not begun, and those whose answers are lost with it, are queued again.
   */
  #loseChunk(chunk: Chunk, begun: number | undefined, lost: Task[]): void {
    const { answered, order } = chunk;
    const at = begun === undefined ? answered : chunk.offsetOf(begun);
    if (at < answered) return this.#again(chunk);
    for (const part of chunk.cutAt(answered, at, at + 1)) {
      if (part !== chunk) this.#owner?.added(part);
      if (part.order === order + at) this.#lose(part, lost);
      else if (part.order < order + answered) this.#end(part);
      else this.#scheduler.submitAgain(part);
    }
  }

  /** Queues the calls of a chunk again that are not answered. */
  #again(chunk: Chunk): void {
    if (chunk.answered === 0) return this.#scheduler.submitAgain(chunk);
    const [, rest] = chunk.cutAt(chunk.answered);
    this.#owner?.added(rest!);
    this.#scheduler.submitAgain(rest!);
    this.#end(chunk);
  }

  /**
   * Queues the calls of a chunk again that lie behind `begun`. False if all those before are
   * answered: then the chunk has ended.
   */
  #cutBehind(chunk: Chunk, begun: number): boolean {
    const [, rest] = chunk.cutAt(Math.max(chunk.answered, chunk.offsetOf(begun) + 1));
    if (rest !== undefined && !chunk.settled) {
      this.#owner?.added(rest);
      this.#scheduler.submitAgain(rest);
    }
    if (chunk.answered < chunk.count) return true;
    this.#end(chunk);
    return false;
  }

  #lose(task: Task, lost: Task[]): void {
    this.#scheduler.moveTask(task, "failed");
    lost.push(task);
  }

  /** Every call of a chunk is answered. */
  #end(chunk: Chunk): void {
    if (chunk.settled) return;
    this.#scheduler.moveTask(chunk, "done");
    this.#owner?.ended(chunk);
  }
}
