import { isStop } from "../function/stop.ts";
import { mainAtLoad } from "../os/natives.ts";
import { exitProcess } from "../processes.ts";

let listening = false;

/** What `bun test` runs, and sets `NODE_ENV` for; a program that a test starts inherits that. */
const IS_TEST_RUN =
  process.env.NODE_ENV === "test" && /[._](test|spec)\.[cm]?[jt]sx?$/.test(mainAtLoad);

/**
 * From now on what nobody catches ends the program with 1, as Bun does by itself, but late: a rejection when its
 * event loop has a moment's rest, which beside a pool at full rate may be never, and with an exit code of 0 for
 * `exit` listeners; what a timer or a callback throws not before the main module has come to its end, which
 * may await just that. A program with listeners of its own is left to them, and a test run to the test runner.
 */
export function endAtUncaught(): void {
  if (listening || IS_TEST_RUN) return;
  listening = true;
  // What a Worker throws is for its parent to hear of.
  const events = ["unhandledRejection", ...(Bun.isMainThread ? ["uncaughtException"] : [])];
  for (const event of events) {
    process.on(event, (error: unknown) => {
      if (process.listenerCount(event) > 1 || isStop(error)) return;
      console.error(error);
      exitProcess(1);
    });
  }
}
