/**
 * Something for a task to wait at until the controller opens it, and for the controller to know
 * by that the task has begun: two files, since a task shares nothing else with the controller.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./assert.ts";

export class Gate implements Disposable {
  /** What `passGate` is called with. */
  readonly path = mkdtempSync(join(tmpdir(), "contract-gate-"));

  /** Resolves once `tasks` tasks wait at the gate. */
  async reached(tasks = 1): Promise<void> {
    for (let i = 0; i < tasks; i++) {
      await until(`task ${i} at a gate`, () => existsSync(join(this.path, `reached-${i}`)));
    }
  }

  open(): void {
    writeFileSync(join(this.path, "open"), "");
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A task: waits until the gate is opened (or its folder is gone), the event loop turning. */
export async function passGate<T>(path: string, result?: T, number = 0): Promise<T | undefined> {
  writeFileSync(join(path, `reached-${number}`), "");
  while (existsSync(path) && !existsSync(join(path, "open"))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return result;
}

/** A task: the same, holding the thread. */
export function blockAtGate<T>(path: string, result?: T): T | undefined {
  writeFileSync(join(path, "reached-0"), "");
  while (existsSync(path) && !existsSync(join(path, "open"))) Bun.sleepSync(1);
  return result;
}

/** A task: the same after an await, where no timeout can interrupt it. */
export async function blockAtGateLater(path: string): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  blockAtGate(path);
}
