import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { PoolSettings } from "../options.ts";
import { LocalBackend } from "../backend/local.ts";
import { openOn } from "./on-backend.ts";
import type { Opened } from "./opened.ts";
import { readCount, type WorkerList } from "../worker-list.ts";

/** `open` without MPI: all workers are processes of this machine. */
export async function openLocal(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
): Promise<Opened> {
  const count = readCount(workers, availableParallelism());
  const { cwd } = settings;
  if (cwd !== undefined && !statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw new RangeError(`Cannot open a pool: its cwd ${JSON.stringify(cwd)} is no folder`);
  }
  return await openOn(new LocalBackend(settings, settings.spin), count, settings);
}
