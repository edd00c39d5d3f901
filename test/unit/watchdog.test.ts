/** The thread that interrupts watched calls, in a process of its own: it strikes by SIGINT. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const PROGRAM = join(import.meta.dir, "fixtures/struck-while-closed.ts");

/** ms after which it was never struck: it takes a hundredth. */
const LIMIT_MS = 30_000;

test("a turn that ends while its word is closed does not keep the next one from being struck", async () => {
  await using child = Bun.spawn([process.execPath, PROGRAM], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    ...{ timeout: LIMIT_MS, killSignal: "SIGKILL" },
  });
  const struck = "ERR_SCRIPT_EXECUTION_INTERRUPTED\n";
  expect(await child.stdout.text()).toBe(struck.repeat(3));
  expect(await child.exited).toBe(0);
}, 60_000);
