import type { FunctionRecord } from "../function/record.ts";
import type { TaskFunction } from "../options.ts";
import type { Chunk, Items, ItemSink } from "../scheduler/chunk.ts";
import type { KnownFunction } from "../scheduler/estimates.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import type { MapSettings } from "./settings.ts";

/** What a map asks of its pool. */
export interface MapPool {
  readonly workers: number;
  readonly takesChunks: boolean;
  /** Whether progress is shown here: on the controller. */
  readonly showsProgress?: boolean;
  /** How many tasks may be queued now. */
  readonly places: number;
  room(): Promise<void>;
  /** Why calls are refused; null where they are not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null;
  recordOf(fn: TaskFunction | string): FunctionRecord;
  known(fn: FunctionRecord): KnownFunction;
  keep(args: unknown[]): Payload;
  submit(
    fn: KnownFunction,
    options: TaskOptions,
    sink: ItemSink,
    index: number,
    items: Items,
  ): Chunk;
  /** The program is told of the failure of a call of `fn`. */
  told(fn: FunctionRecord, error: unknown): void;
  cancel(task: Task, reason: unknown): boolean;
  /** A result is waited for, or no more. */
  onReading?(isRead: boolean): void;
}

/** The call of `map` or `starmap`. */
export interface MapCall {
  readonly fn: FunctionRecord;
  /** The function's own text. */
  readonly text: string;
  readonly items: object | string;
  /** Each item is a list of arguments. */
  readonly isStar: boolean;
  readonly settings: MapSettings;
}
