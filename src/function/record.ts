/**
 * How a function travels: never as itself, but as what a worker needs to find it in its own copy
 * of the program. `reference.ts` names it, which is loaded with the first call; `resolve.ts` finds
 * it on the worker.
 */
export type FunctionReference =
  | { readonly kind: "task"; readonly name: string }
  | { readonly kind: "export"; readonly module: string; readonly name: string }
  | {
      /** A function of a module that exports it not, or is not evaluated to its end yet. */
      readonly kind: "source";
      /** Where to look for `name`; the text is evaluated in the first one if none has it. */
      readonly modules: readonly string[];
      readonly name: string;
      /**
       * The name by which it was called, which may be another than its own, and the module that
       * did.
       */
      readonly binding: { readonly module: string; readonly name: string } | null;
      /** What `toString` says; a top-level function of that name with that text is the function. */
      readonly text: string;
      /** An expression that yields it, for a function that is not found by its name. */
      readonly expression: string;
      /** The line of the first module that the expression is taken to begin in. */
      readonly line: number;
    }
  | { readonly kind: "text"; readonly text: string };

/**
 * A function as the controller knows it: what to tell a worker. How long it takes each pool knows
 * for itself (`estimates.ts`).
 */
export interface FunctionRecord {
  /** Its number on the wire, from 1. */
  readonly id: number;
  /** For messages: its name, or the beginning of its text. */
  readonly label: string;
  /** What a worker is told, once, to find it. */
  readonly reference: FunctionReference;
}

/** Letters of a text that is not long. Long ones count for more. */
const USUAL_TEXT = 1024;

/**
 * What a function costs whoever keeps it: one that is found in a module nothing, as the module is
 * there.
 */
export function textWeight({ reference }: FunctionRecord): number {
  if (reference.kind !== "source" && reference.kind !== "text") return 0;
  return Math.max(1, reference.text.length / USUAL_TEXT);
}
