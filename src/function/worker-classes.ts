/**
 * The classes of errors on a worker: those that modules export, and those in the scopes that are
 * open there.
 */
import type { ClassReference } from "../codec/value.ts";
import { exportedClass, exportersOf } from "./classes.ts";
import { exportedOnWorker, exporterOnWorker } from "./resolve.ts";

/**
 * Where a class can be found from another process; what is not exported only from another worker.
 */
export function exportersOnWorker(
  maker: Function | null,
  prototype: object,
): readonly ClassReference[] {
  const places = exportersOf(maker, prototype);
  // The main script, above all, which a worker does not come to the end of.
  const scoped = maker === null || places[0]?.module === null ? undefined : exporterOnWorker(maker);
  if (scoped === undefined || places.some(({ module }) => module === scoped.module)) return places;
  return [...places, scoped];
}

export function classOnWorker(reference: ClassReference): Function | null {
  const { module, name } = reference;
  // First the scopes, as a rank has its main script twice: its own run, and the one that tasks are
  // of.
  const scoped = module === null ? undefined : exportedOnWorker(module, name);
  const value = typeof scoped === "function" ? scoped : exportedClass(reference);
  return typeof value === "function" ? value : null;
}
