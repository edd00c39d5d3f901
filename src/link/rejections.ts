let listening = false;

/** What `bun test` runs, and sets `NODE_ENV` for; a program that a test starts inherits that. */
const IS_TEST_RUN =
  process.env.NODE_ENV === "test" && /[._](test|spec)\.[cm]?[jt]sx?$/.test(Bun.main);

/**
 * From now on a rejection that nobody handles ends the program with 1, as Bun does by itself; but Bun says
 * 0 to `exit` listeners then, and comes to it only when its event loop has a moment's rest: beside a
 * pool at full rate that may be never. A program with a listener of its own is left to that, and a
 * test run to the test runner.
 */
export function endAtRejections(): void {
  if (listening || IS_TEST_RUN) return;
  listening = true;
  process.on("unhandledRejection", (error) => {
    if (process.listenerCount("unhandledRejection") > 1) return;
    console.error(error);
    process.exit(1);
  });
}
