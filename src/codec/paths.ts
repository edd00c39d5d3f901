/** Paths for messages: `args[0].socket`, `result["odd key"]`, `args[1].get("a").cause`. */
import { Kind } from "./nodes.ts";
import { JSON } from "../os/natives.ts";

/** The writer's state when it stops: nodes, and where each was first met. */
export interface Trail {
  readonly nodes: readonly (readonly unknown[])[];
  readonly parents: readonly number[];
  readonly slots: readonly number[];
}

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const MOST_STEPS = 40;

/** The path of the value at `slot` of node `at`; the root itself has node -1. */
export function pathOf(root: string, at: number, slot: number, trail: Trail): string {
  const steps: string[] = [];
  for (let node = at, place = slot; node >= 0;) {
    steps.push(step(trail.nodes[node] ?? [], place));
    place = trail.slots[node]!;
    node = trail.parents[node]!;
  }
  steps.reverse();
  if (steps.length > MOST_STEPS) {
    steps.splice(MOST_STEPS / 2, steps.length - MOST_STEPS, "…");
  }
  return root + steps.join("");
}

function step(node: readonly unknown[], slot: number): string {
  switch (node[0]) {
    // If no key stands before the slot, listing the keys has failed.
    case Kind.Object:
    case Kind.Bare:
    case Kind.Error:
      return slot % 2 === 0 ? property(node[slot - 1]) : "";
    case Kind.Sparse:
      return slot % 2 === 1 ? property(node[slot - 1]) : "";
    case Kind.Array:
      return `[${slot - 1}]`;
    case Kind.Set:
      return `.values()[${slot - 1}]`;
    case Kind.Map: {
      const index = Math.floor((slot - 1) / 2);
      if (slot % 2 === 1) return `.keys()[${index}]`;
      const key = node[slot - 1];
      const simple = typeof key === "string" || typeof key === "number";
      return simple ? `.get(${JSON.stringify(key)})` : `.values()[${index}]`;
    }
    default:
      return "";
  }
}

function property(key: unknown): string {
  if (typeof key === "number") return `[${key}]`;
  // A long key, or one that is not well formed.
  if (typeof key !== "string") return '["…"]';
  if (NAME.test(key)) return `.${key}`;
  return /^(?:0|[1-9]\d{0,9})$/.test(key) ? `[${key}]` : `[${JSON.stringify(key)}]`;
}
