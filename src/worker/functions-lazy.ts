import type * as LinesModule from "../function/lines.ts";
import type * as ResolveModule from "../function/resolve.ts";
import type * as LoadedModule from "../function/resolve-loaded.ts";
import type * as StackModule from "../function/stack.ts";
import type * as ClassesModule from "../function/worker-classes.ts";
import type * as OwnPoolModule from "./own-pool.ts";

/**
 * The modules that find functions, and explain the errors they throw. They are loaded with the
 * first function that the controller sends, and so before any task runs: a pool is open the sooner.
 */
interface Functions {
  readonly resolve: typeof ResolveModule;
  readonly loaded: typeof LoadedModule;
  readonly lines: typeof LinesModule;
  readonly stack: typeof StackModule;
  readonly classes: typeof ClassesModule;
  readonly ownPool: typeof OwnPoolModule;
}

let loaded: Functions | null = null;

/** Loads them, once. */
export async function loadFunctions(): Promise<void> {
  loaded ??= {
    resolve: await import("../function/resolve.ts"),
    loaded: await import("../function/resolve-loaded.ts"),
    lines: await import("../function/lines.ts"),
    stack: await import("../function/stack.ts"),
    classes: await import("../function/worker-classes.ts"),
    ownPool: await import("./own-pool.ts"),
  };
}

/** Null as long as no function was sent. */
export function functions(): Functions | null {
  return loaded;
}
