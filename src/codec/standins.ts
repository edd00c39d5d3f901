/** Classes for errors whose own class cannot be found in this process. */
import type { ErrorClass, Level } from "./known.ts";
import { define } from "./own.ts";
import type { ClassReference } from "./types.ts";

/** More than this are made up, not classes of a program. */
const MOST = 1000;
/** Letters of a name: one that is longer is no name, and its class is not kept. */
const MOST_LETTERS = 1000;

interface StandIn {
  readonly made: Function;
  readonly references: readonly ClassReference[];
}

/** By parent, then by name: of one name as many as there are classes of that name. */
const known = new Map<Function, Map<string, StandIn[]>>();
let count = 0;
const origins = new WeakMap<Function, readonly ClassReference[]>();

/**
 * A class on top of `parent`, the same for each name and origin: errors of one class stay of one
 * class.
 */
export function standIn(parent: Function, { name, references }: Level): Function {
  const namesakes = known.get(parent)?.get(name) ?? [];
  const found = namesakes.find((namesake) => isSameClass(namesake.references, references));
  if (found !== undefined) return found.made;
  let made: Function;
  try {
    made = extend(parent as ErrorClass);
  } catch {
    return parent; // a function that inherits from Error, and is no constructor
  }
  define(made, "name", name, false);
  origins.set(made, references);
  if (name.length <= MOST_LETTERS) keep(parent, name, [...namesakes, { made, references }]);
  return made;
}

/**
 * Each process names the places that it has loaded: two share one if they mean the same class. A
 * class that nothing exports has none.
 */
function isSameClass(
  places: readonly ClassReference[],
  others: readonly ClassReference[],
): boolean {
  if (places.length === 0) return others.length === 0;
  return places.some(({ module, name }) =>
    others.some((other) => other.module === module && other.name === name),
  );
}

function keep(parent: Function, name: string, namesakes: StandIn[]): void {
  if (++count > MOST) {
    known.clear();
    count = 1;
    namesakes.splice(0, namesakes.length - 1);
  }
  const byName = known.get(parent) ?? new Map<string, StandIn[]>();
  known.set(parent, byName.set(name, namesakes));
}

/** A class without an own name, which the console would show. */
function extend(parent: ErrorClass): Function {
  return class extends parent {};
}

/** The places that export the class which a stand-in represents; undefined for other classes. */
export function originOf(maker: Function | null): readonly ClassReference[] | undefined {
  return maker === null ? undefined : origins.get(maker);
}
