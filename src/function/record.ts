/**
 * How a function travels: never as itself, but as the information that lets a worker find it in its
 * own copy of the program. `reference.ts`, loaded with the first call, names it; `resolve.ts` finds
 * it on the worker.
 */
export type FunctionReference =
  | { readonly kind: "task"; readonly name: string }
  | { readonly kind: "export"; readonly module: string; readonly name: string }
  | {
      /**
       * A function that its module does not export, or whose module is not evaluated to its end
       * yet.
       */
      readonly kind: "source";
      /** Where to look for `name`; if none has it, the text is evaluated in the first one. */
      readonly modules: readonly string[];
      readonly name: string;
      /** The name by which it was called, perhaps not its own, and the calling module. */
      readonly binding: { readonly module: string; readonly name: string } | null;
      /**
       * The result of `toString`; a top-level function of that name with this text is the function.
       */
      readonly text: string;
      /** An expression that yields the function, if it is not found by its name. */
      readonly expression: string;
      /** The assumed first line of the expression in the first module. */
      readonly line: number;
    }
  | { readonly kind: "text"; readonly text: string };

/**
 * A function as the controller knows it. Each pool learns by itself how long it takes
 * (`estimates.ts`).
 */
export interface FunctionRecord {
  /** Its number on the wire, from 1. */
  readonly id: number;
  /** For messages: its name, or the beginning of its text. */
  readonly label: string;
  /** Sent once to each worker, to find the function. */
  readonly reference: FunctionReference;
}

/** Letters of a usual text. Longer texts count for more. */
const USUAL_TEXT = 1024;

/** What it costs to keep a function: nothing if it is found in a module, which is there anyway. */
export function textWeight({ reference }: FunctionRecord): number {
  if (reference.kind !== "source" && reference.kind !== "text") return 0;
  return Math.max(1, reference.text.length / USUAL_TEXT);
}
