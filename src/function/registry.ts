/**
 * Functions registered by name with `task`. A bundled or compiled program has no modules left to
 * find a function in, but every process runs the same program: there a name is enough.
 */

type AnyFunction = (...args: never[]) => unknown;

// On `globalThis`: a worker may hold bsync twice, as itself and inside a bundled program.
const slot = Symbol.for("bsync.tasks");

interface Registry {
  readonly byName: Map<string, AnyFunction>;
  readonly names: WeakMap<AnyFunction, string>;
}

const holder = globalThis as { [slot]?: Registry };
const registry = (holder[slot] ??= { byName: new Map(), names: new WeakMap() });

/**
 * Registers a function under a name, at the top level of a module; returns the function itself.
 * A later registration under the same name takes its place, as after a hot reload.
 *
 * @example
 * const resize = task("resize", (path: string, width: number) =>
 *   sharp(path).resize(width).toBuffer(),
 * );
 * await pool.async(resize, "a.png", 320);
 */
export function task<F extends AnyFunction>(name: string, fn: F): F {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(
      `Cannot register a task: its name must be a text, got ${Bun.inspect(name)}`,
    );
  }
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot register task "${name}": expected a function, got ${Bun.inspect(fn)}`,
    );
  }
  registry.byName.set(name, fn);
  registry.names.set(fn, name);
  return fn;
}

/** The name under which a function was registered. */
export function registeredName(fn: AnyFunction): string | undefined {
  return registry.names.get(fn);
}

/** The function registered under a name. */
export function registeredFunction(name: string): AnyFunction | undefined {
  return registry.byName.get(name);
}

/** All registered names, for messages. */
export function registeredNames(): string[] {
  return [...registry.byName.keys()];
}
