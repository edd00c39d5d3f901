import type * as FileSystem from "node:fs";

const { getBuiltinModule } = process;
let loaded: typeof FileSystem | null = null;

/**
 * `node:fs`, loaded when it is used first: that takes 6 ms, a third of what bsync takes to load. A
 * worker has it before any task, which may change the functions that loading takes.
 */
export function files(): typeof FileSystem {
  return (loaded ??= getBuiltinModule("node:fs"));
}
