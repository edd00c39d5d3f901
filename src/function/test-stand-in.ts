import { FunctionError } from "../errors.ts";

/**
 * To a worker a test file is a module like any other, but `bun:test` works only in the test runner.
 * Here its functions do nothing, so that the file's top-level names get defined.
 */
export function testStandIn(): Record<string, unknown> {
  const nothing: unknown = new Proxy(() => {}, {
    get: (_, name) => (name === Symbol.toPrimitive || name === "then" ? undefined : nothing),
    apply: () => nothing,
  });
  const names =
    "test it describe beforeAll beforeEach afterAll afterEach mock spyOn jest vi xit xtest";
  const more = "xdescribe setSystemTime onTestFinished setDefaultTimeout expectTypeOf";
  const standIn: Record<string, unknown> = {};
  for (const name of `${names} ${more}`.split(" ")) standIn[name] = nothing;
  standIn["expect"] = () => {
    throw new FunctionError(
      "Cannot use expect in a task: a worker is no test runner; return a value",
    );
  };
  return standIn;
}
