import type * as FileSystem from "node:fs";

const { getBuiltinModule } = process;

/**
 * `node:fs`, loaded when it is used first: that takes 6 ms, in a program that uses no files a third
 * of what bsync takes to load.
 */
export function files(): typeof FileSystem {
  return getBuiltinModule("node:fs");
}
