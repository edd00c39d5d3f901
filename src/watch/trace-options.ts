import { show } from "../errors.ts";

/**
 * Options of `pool.trace`.
 *
 * @example
 * pool.trace("job.json.gz", { maxBytes: 20e6 });
 */
export interface TraceOptions {
  /** Bytes that the file may have; 200e6 by default. Before that neighbours are merged. */
  readonly maxBytes?: number;
}

const MOST_BYTES = 200e6;

/** Less than this has no room for the names of the rows. */
const LEAST_BYTES = 16 * 1024;

/** Checked; the bytes that the file may have. */
export function readTraceOptions(path: unknown, options: TraceOptions): number {
  if (typeof path !== "string" || path === "") {
    throw new TypeError(`Cannot write a trace: its path must be a text, got ${show(path)}`);
  }
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot write a trace: expected an object of options, got ${show(options)}`,
    );
  }
  const unknown = Object.keys(options).find((name) => name !== "maxBytes");
  if (unknown !== undefined) {
    throw new TypeError(`Cannot write a trace: unknown option "${unknown}"; there is maxBytes`);
  }
  const { maxBytes = MOST_BYTES } = options;
  if (typeof maxBytes === "number" && maxBytes >= LEAST_BYTES) return maxBytes;
  const kind = typeof maxBytes === "number" ? RangeError : TypeError;
  const found = show(maxBytes);
  throw new kind(
    `Cannot write a trace: maxBytes must be a number of bytes >= ${LEAST_BYTES}, got ${found}`,
  );
}
