/** The error classes of a worker: those that modules export, and those in the scopes open there. */
import type { ClassReference } from "../codec/value.ts";
import { exportedClass, exportersOf } from "./classes.ts";
import { exportedOnWorker, exporterOnWorker } from "./resolve.ts";

/** Where another process can find a class; if it is not exported, only another worker can. */
export function exportersOnWorker(
  maker: Function | null,
  prototype: object,
): readonly ClassReference[] {
  const places = exportersOf(maker, prototype);
  // Above all in the main script, whose run on a worker does not reach its end.
  const scoped = maker === null || places[0]?.module === null ? undefined : exporterOnWorker(maker);
  if (scoped === undefined || places.some(({ module }) => module === scoped.module)) return places;
  return [...places, scoped];
}

export function classOnWorker(reference: ClassReference): Function | null {
  const { module, name } = reference;
  // The scopes first: a rank has its main script twice, and tasks belong to the run for functions.
  const scoped = module === null ? undefined : exportedOnWorker(module, name);
  const value = typeof scoped === "function" ? scoped : exportedClass(reference);
  return typeof value === "function" ? value : null;
}
