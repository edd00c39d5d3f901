/** The option `checkpoint`, checked at the call. Nothing here loads SQLite. */
import { resolve } from "node:path";
import { show } from "../errors.ts";

/**
 * Where finished results are kept, and how items are known again.
 *
 * @example
 * const checkpoint: CheckpointOptions<Config> = { path: "sweep.sqlite", key: (item) => item.name };
 */
export interface CheckpointOptions<I = never> {
  /** The SQLite file; it is made where there is none, in a folder that is there. */
  readonly path: string;
  /**
   * Makes items known by a text of their own and not by their place: they may then be moved, added
   * and left out. Of two items with one key the second is refused; the content is not compared.
   */
  readonly key?: (item: I, index: number) => string;
  /** The user's own: raise it when a function that the function calls has changed. */
  readonly version?: number | string;
  /** Takes a file that was made by another function, for other items or another version. */
  readonly accept?: boolean;
}

/** The option, complete, its path absolute. */
export interface CheckedCheckpoint {
  readonly path: string;
  readonly key: ((item: never, index: number) => string) | null;
  readonly version: number | string | null;
  readonly accept: boolean;
}

const RULES: Readonly<Record<string, (value: unknown) => string | null>> = {
  path: (value) => (isPath(value) ? null : "the path of a file"),
  key: (value) => (typeof value === "function" ? null : "a function (item, index) => string"),
  version: (value) =>
    typeof value === "string" || Number.isFinite(value) ? null : "a finite number or a text",
  accept: (value) => (typeof value === "boolean" ? null : "true or false"),
};

/**
 * The option as `pool.map` takes it, a path or an object. A relative path counts from the folder of
 * this moment, whatever the program changes to later.
 *
 * @throws TypeError that says which part is wrong, and how.
 */
export function checkCheckpoint(option: unknown): CheckedCheckpoint {
  const given = typeof option === "string" ? { path: option } : option;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw wrong(`expected a path or { ${Object.keys(RULES).join(", ")} }, got ${show(option)}`);
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(RULES, name)) {
      throw wrong(`unknown property "${name}"; there are ${Object.keys(RULES).join(", ")}`);
    }
    const expected = value === undefined ? null : RULES[name]!(value);
    if (expected !== null) throw wrong(`${name} must be ${expected}, got ${show(value)}`);
  }
  const own = { __proto__: null, ...given } as Partial<CheckedCheckpoint>;
  if (own.path === undefined) throw wrong("path is missing");
  return {
    path: resolve(own.path),
    key: own.key ?? null,
    version: own.version ?? null,
    accept: own.accept ?? false,
  };
}

function isPath(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

function wrong(finding: string): TypeError {
  return new TypeError(`Cannot use the option checkpoint: ${finding}`);
}
