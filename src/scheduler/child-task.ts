import type { KnownFunction } from "./estimates.ts";
import { Task, type TaskOptions, type Waiter } from "./task.ts";

/** Hears of the end of tasks that tasks have submitted. */
export interface ChildOwner {
  /** A child is settled by this side; the answers of workers go another way. */
  settled(child: ChildTask): void;
}

/** Where a child comes from. */
type Parentage = Pick<ChildTask, "parent" | "parentId" | "number" | "family">;

/**
 * Tasks that may be submitted before a child that is one level deeper comes behind a shallower one:
 * depth and order share one number, exact up to 2 ** 53.
 */
const PER_LEVEL = 2 ** 39;

/** Deeper ones are in the order of their submission. */
const DEEPEST = 2 ** 13;

/**
 * A task that a task has submitted. Among equal priorities it starts before all that are less deep:
 * so one worker walks a tree depth-first, and holds as many parents as the tree is deep.
 */
export class ChildTask extends Task implements Waiter {
  /** The task that has submitted it. */
  readonly parent: Task;
  /** The call of it that has. */
  readonly parentId: number;
  /** Its number among the children that its submitter has numbered. */
  readonly number: number;
  /** The children of that attempt of its parent: `controller/children.ts` knows more of them. */
  readonly family: object;
  /** 1 for the children of a task that the controller has submitted. */
  readonly depth: number;
  readonly promise = null;
  readonly #owner: ChildOwner;

  constructor(
    order: number,
    fn: KnownFunction,
    options: TaskOptions,
    { parent, parentId, number, family }: Parentage,
    owner: ChildOwner,
  ) {
    super(order, fn, options);
    this.parent = parent;
    this.parentId = parentId;
    this.family = family;
    this.number = number;
    this.depth = 1 + depthOf(parent);
    this.#owner = owner;
    this.waiter = this;
  }

  override get rank(): number {
    return this.order - Math.min(this.depth, DEEPEST) * PER_LEVEL;
  }

  resolve(): void {
    this.#owner.settled(this);
  }

  reject(): void {
    this.#owner.settled(this);
  }
}

/** Whether one task has submitted both. */
export function areSiblings(a: Task, b: Task): boolean {
  return a instanceof ChildTask && b instanceof ChildTask && a.parent === b.parent;
}

export function isChildOf(task: Task, parent: Task): boolean {
  return task instanceof ChildTask && task.parent === parent;
}

/** How many tasks a task descends from. */
export function depthOf(task: Task): number {
  return task instanceof ChildTask ? task.depth : 0;
}
