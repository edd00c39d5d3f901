import { MessageHandle, type TaskOwner } from "../handle.ts";
import type { KnownFunction } from "../scheduler/estimates.ts";
import type { TaskOptions } from "../scheduler/task.ts";
import type { ParentCall } from "./parent-call.ts";

/** The handle of a task that a task has submitted. */
export class ChildHandle<T> extends MessageHandle<T> {
  readonly #parent: ParentCall;

  constructor(
    number: number,
    fn: KnownFunction,
    options: TaskOptions,
    owner: TaskOwner,
    parent: ParentCall,
  ) {
    super(number, fn, options, owner);
    this.#parent = parent;
  }

  /** Its number in the pool is not known here. */
  override get label(): string {
    return `${this.fn.label}, submitted by ${this.#parent.call.label},`;
  }
}
