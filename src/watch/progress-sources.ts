import type { Progress } from "./progress.ts";

/** Calls that a program waits for as one: those of a map, or of a list of handles. */
export interface ProgressSource {
  readonly kind: "map" | "starmap" | "all" | "asCompleted";
  /** What is called. */
  name(): string;
  /** `isLast` where nobody looks again: then it is exact. */
  look(isLast?: boolean): Progress;
}

/** Those of a pool that are under way, the oldest first. Nobody looks at them as a rule. */
export type ProgressSources = Set<ProgressSource>;
