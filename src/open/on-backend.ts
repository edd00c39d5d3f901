import { Controller } from "../controller/controller.ts";
import type { PoolSettings } from "../options.ts";
import { showPoolProgress } from "../watch/lazy.ts";
import type { Backend } from "../backend/backend.ts";
import type { Opened } from "./opened.ts";

/** Opens a pool whose controller is here, on `workers` workers of what is around it. */
export async function openOn(
  outside: Backend,
  workers: number,
  settings: PoolSettings,
): Promise<Opened> {
  const { initializer, openTimeout, task, progress } = settings;
  const controller = new Controller(outside, settings);
  try {
    await controller.open(workers, initializer, openTimeout);
  } catch (error) {
    outside.close();
    throw error;
  }
  if (progress !== null) showPoolProgress(progress, controller.watch);
  return { role: "controller", controller, whose: "", task };
}
