import { needStack } from "../os/stack.ts";
import { mainScript } from "./main-script.ts";
import type { FunctionRecord, FunctionReference } from "./record.ts";
import { labelOf, newRecord, recordOf } from "./reference.ts";
import { evaluateHere, Resolved } from "./resolve.ts";

/**
 * The functions of inline pools: each is known as the object that was given, and that object is
 * called. So mocks and spies are, and two closures of one text are two functions. All that another
 * process could not run is refused as ever, but mocks.
 */

type AnyFunction = (...args: never[]) => unknown;

const byFunction = new WeakMap<AnyFunction, FunctionRecord>();
const byId = new Map<number, WeakRef<AnyFunction>>();
/** A reference is held by the tasks of a function, and holds it. */
const held = new WeakMap<FunctionReference, AnyFunction>();
const gone = new FinalizationRegistry<number>((id) => byId.delete(id));

/** The record of a function, or of a text that yields one; throws as `recordOf` does. */
export function recordHere(fn: AnyFunction | string): FunctionRecord {
  if (typeof fn !== "function") return recordOf(fn);
  let record = byFunction.get(fn);
  if (record === undefined) {
    // Its arguments are read next: they are not to be what the stack has no room for.
    needStack();
    const label = isMock(fn) ? fn.name || "a mock" : labelOf(fn);
    record = newRecord(label, { kind: "text", text: label });
    byFunction.set(fn, record);
    byId.set(record.id, new WeakRef(fn));
    held.set(record.reference, fn);
    gone.register(fn, record.id);
  }
  return record;
}

/** The function of a record, if it is found without loading anything. */
export function findHere(id: number, reference: FunctionReference): Resolved | null {
  const fn = byId.get(id)?.deref();
  if (fn !== undefined) return new Resolved(fn as Resolved["fn"]);
  return reference.kind === "text" ? evaluateHere(reference.text, mainScript()) : null;
}

/** Of a test runner's: native, or bound to its state, and so refused elsewhere. */
function isMock(fn: AnyFunction): boolean {
  const { mock } = fn as { mock?: unknown };
  return (typeof mock === "object" && mock !== null) || typeof mock === "function";
}
