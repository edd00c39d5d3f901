import { queueMicrotask } from "../os/natives.ts";

/**
 * How progress is shown, where `true` is not enough.
 *
 * @example
 * await pool.map(render, frames, { progress: { label: "frames", width: 30 } });
 */
export interface ProgressOptions {
  /** What is said before the numbers; the function's name, or "tasks", by default. */
  readonly label?: string;
  /** Where to; `process.stderr` by default. A bar where `isTTY` is true, else whole lines. */
  readonly stream?: ProgressStream;
  /** Columns of the bar; 24 by default. */
  readonly width?: number;
}

/** What progress is written to, as `process.stderr` or an open file's stream. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/**
 * Writes to a stream of the program's, in the midst of a step of the pool, which may not fail of
 * it: what it throws ends the program as a callback's does.
 */
export function say(stream: ProgressStream, text: string): void {
  try {
    stream.write(text);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

const KEYS: readonly string[] = ["label", "stream", "width"];

/** What `progress` has to be, where it is not that; else null. */
export function progressProblem(value: unknown): string | null {
  if (typeof value === "boolean") return null;
  if (typeof value !== "object" || value === null) return "true, or { label, stream, width }";
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return `true, or { label, stream, width }, without "${unknown}"`;
  const { label, stream, width } = value as Record<string, unknown>;
  if (label !== undefined && typeof label !== "string") return "given a label that is a text";
  if (width !== undefined && !(Number.isInteger(width) && (width as number) > 0))
    return "given a width that is a whole number of columns from 1";
  const write = (stream as Partial<ProgressStream> | null | undefined)?.write;
  if (stream !== undefined && typeof write !== "function")
    return "given a stream that has a write, as process.stderr";
  return null;
}

/** The options; null where no progress is to be shown. Checked before. */
export function readProgress(value: boolean | ProgressOptions | undefined): ProgressOptions | null {
  if (value === undefined || value === false) return null;
  return value === true ? {} : { ...value };
}
