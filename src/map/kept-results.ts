import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type * as CheckpointModule from "../checkpoint/checkpoint.ts";
import type * as ClassesModule from "../function/classes.ts";
import type { MapCall } from "./map-call.ts";

/** Opens the checkpoint of a map that has one; `onFailed` hears, later, that it cannot go on. */
export function openCheckpoint(call: MapCall, onFailed: (error: Error) => void): Checkpoint | null {
  const { settings, isStar, fn, text } = call;
  if (settings.checkpoint === null) return null;
  // SQLite is for those maps alone.
  const opened = require("../checkpoint/checkpoint.ts") as typeof CheckpointModule;
  const classes = require("../function/classes.ts") as typeof ClassesModule;
  const computation = {
    kind: isStar ? ("starmap" as const) : ("map" as const),
    label: fn.label,
    text,
  };
  return opened.Checkpoint.open(settings.checkpoint, computation, { classes, failed: onFailed });
}
