import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  BsyncError,
  CancelledError,
  CheckpointError,
  FunctionError,
  MpiError,
  PoolClosedError,
  ProcException,
  QueueFullError,
  taskContext,
  TimeoutError,
  ValueError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, same, thrownBy } from "../assert.ts";
import { Subject } from "../case.ts";
import * as failing from "../fixtures/failing.ts";
import { square } from "../fixtures/functions.ts";
import { throwsInView } from "../fixtures/view.tsx";

export const errors = new Subject("errors", "code");

const FIXTURES = join(import.meta.dir, "../fixtures");

/** The line of a fixture that has this comment. */
function lineOf(file: string, comment: string): number {
  const lines = readFileSync(join(FIXTURES, file), "utf8").split("\n");
  return lines.findIndex((line) => line.endsWith(`// line: ${comment}`)) + 1;
}

/** Fails unless the stack of what `handle` rejects with has the line of that comment. */
async function assertLine(
  handle: PromiseLike<unknown>,
  file: string,
  comment: string,
): Promise<void> {
  const { stack = "" } = await failure(handle, Error);
  const place = `${join(FIXTURES, file)}:${lineOf(file, comment)}:`;
  assert.ok(stack.includes(place), `no frame at ${place} in ${stack}`);
  assert.ok(!stack.includes("?bsync"), stack);
}

/** The call in the line above a remote stack, or all of the stack. */
function callIn({ stack = "" }: Error): string {
  const line = /^ {4}at --- (.*) on worker 0 \((?:rank \d+, )?pid \d+, host .+\) --- \(.*\)$/m;
  return line.exec(stack)?.[1] ?? stack;
}

/** Throws an error of a class of the language. */
function throwBuiltIn(name: string): never {
  const make = Reflect.get(globalThis, name) as new (message: string) => Error;
  throw new make(`a ${name}`);
}

function throwValue(name: keyof typeof VALUES): never {
  throw VALUES[name]();
}

const VALUES = {
  number: () => 42,
  "minus zero": () => -0,
  "not a number": () => NaN,
  text: () => "text",
  nothing: () => undefined,
  null: () => null,
  false: () => false,
  bigint: () => 2n ** 80n,
  object: () => ({ code: 7, at: new Date(5), list: [1, [2]] }),
  map: () => new Map([[1, new Set(["a"])]]),
  bytes: () => new Uint8Array([1, 2, 3]),
  surrogate: () => "\ud800",
};

errors.it("classes of the language arrive as themselves", async () => {
  await using pool = await AsyncPool.open(1);
  const names = [
    "Error",
    "EvalError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "TypeError",
    "URIError",
  ];
  for (const name of names) {
    const error = await failure(pool.async(throwBuiltIn, name), Error);
    assert.equal(error.constructor, Reflect.get(globalThis, name));
    assert.deepEqual([error.name, error.message], [name, `a ${name}`]);
    assert.ok(Error.isError(error));
    assert.ok(!Object.keys(error).includes("message"));
  }
});

errors.it(
  "those that the engine throws: syntax, types, ranges, the depth of the stack",
  async () => {
    await using pool = await AsyncPool.open(1);
    await failure(pool.async("JSON.parse", "{"), SyntaxError);
    await failure(
      pool.async((x: null) => (x as unknown as Date).getTime(), null),
      TypeError,
    );
    await failure(pool.async("(n) => new Array(n)", -1), RangeError);
    await failure(pool.async("decodeURIComponent", "%"), URIError);
    await failure(pool.async(failing.recurse, 0), RangeError);
    assert.equal(await pool.async(square, 2), 4);
  },
);

errors.it("an exported class: instance, own properties, and no constructor is called", async () => {
  await using pool = await AsyncPool.open(1);
  const error = await failure(pool.async(failing.paint, "red"), failing.PaintError);
  assert.equal(error.constructor, failing.PaintError);
  assert.ok(error instanceof RangeError);
  assert.deepEqual([error.name, error.message, error.colour], ["PaintError", "no red left", "red"]);
  assert.equal(error.shout, "NO RED LEFT");
  same(error.details, { layers: [1, 2], made: new Date(0) });
});

errors.it(
  "a class that is not exported: one of its name, on the nearest that is known",
  async () => {
    await using pool = await AsyncPool.open(1);
    const error = await failure(pool.async(failing.throwSecret), TypeError);
    assert.equal(error.message, "not to be told");
    assert.equal(Reflect.get(error, "secret"), 7);
    assert.deepEqual([error.name, error.constructor.name], ["TypeError", "SecretError"]);
    const again = await failure(pool.async(failing.throwSecret), TypeError);
    assert.equal(again.constructor, error.constructor);
  },
);

errors.it("getters over private fields tell what they told there", async () => {
  await using pool = await AsyncPool.open(1);
  const error = await failure(pool.async(failing.throwGuarded), failing.Guarded);
  assert.deepEqual([error.layers, error.shout], [3, "NO GREY LEFT"]);
});

errors.it("errors of the runtime: class, code, and what else they tell", async () => {
  await using pool = await AsyncPool.open(1);
  for (const kind of failing.kindsOfRuntime) {
    const here = (await thrownBy(failing.failOfRuntime(kind))) as NodeJS.ErrnoException;
    const there = (await thrownBy(pool.async(failing.failOfRuntime, kind))) as typeof here;
    assert.equal(there.constructor, here.constructor, kind);
    const told = ({ name, message, code }: typeof here) => [name, message, code];
    assert.deepEqual(told(there), told(here), kind);
    assert.equal(String(there), String(here), kind);
  }
});

errors.it("a name that was given, and properties of every kind", async () => {
  await using pool = await AsyncPool.open(1);
  const make = () => {
    const error = new Error("marked");
    error.name = "MarkedError";
    throw Object.assign(error, {
      code: "E_MARK",
      status: 404,
      list: [1, -0],
      map: new Map([[1, 2n]]),
    });
  };
  const error = (await failure(pool.async(make), Error)) as Error & Record<string, unknown>;
  assert.deepEqual([error.name, error.message, error["code"]], ["MarkedError", "marked", "E_MARK"]);
  assert.equal(error["status"], 404);
  same(error["list"], [1, -0]);
  same(error["map"], new Map([[1, 2n]]));
  assert.equal(String(error), "MarkedError: marked");
});

errors.it("an error of the system: code, errno, path", async () => {
  await using pool = await AsyncPool.open(1);
  const read = async (path: string) => await (await import("node:fs/promises")).readFile(path);
  const error = (await failure(
    pool.async(read, "/nowhere/at/all"),
    Error,
  )) as NodeJS.ErrnoException;
  assert.deepEqual([error.code, error.syscall, error.path], ["ENOENT", "open", "/nowhere/at/all"]);
  assert.equal(typeof error.errno, "number");
});

errors.it("DOMException, as of an abort", async () => {
  await using pool = await AsyncPool.open(1);
  const error = await failure(
    pool.async("() => AbortSignal.abort().throwIfAborted()"),
    DOMException,
  );
  assert.deepEqual([error.name, error.code], ["AbortError", 20]);
});

errors.it("chains of causes, errors and others, and a circle of them", async () => {
  await using pool = await AsyncPool.open(1);
  const chain = () => {
    const root = new failing.PaintError({ name: "blue" }, []);
    throw new Error("outer", { cause: new TypeError("middle", { cause: root }) });
  };
  const outer = await failure(pool.async(chain), Error);
  const middle = outer.cause as Error;
  assert.ok(middle instanceof TypeError && middle.cause instanceof failing.PaintError);
  assert.deepEqual([middle.message, middle.cause.colour], ["middle", "blue"]);
  assert.ok(!Object.keys(outer).includes("cause"));
  const plain = () => {
    throw new Error("plain", { cause: { code: -0 } });
  };
  same((await failure(pool.async(plain), Error)).cause, { code: -0 });
  const circle = () => {
    const error = new Error("circle");
    error.cause = { error };
    throw error;
  };
  const round = await failure(pool.async(circle), Error);
  assert.equal((round.cause as { error: unknown }).error, round);
});

errors.it("AggregateError.errors, one of them not an error", async () => {
  await using pool = await AsyncPool.open(1);
  const any = () => Promise.any([Promise.reject(new RangeError("one")), Promise.reject(2)]);
  const error = await failure(pool.async(any), AggregateError);
  assert.equal(error.errors.length, 2);
  assert.ok(error.errors[0] instanceof RangeError);
  assert.equal(error.errors[1], 2);
});

errors.it("values that are no errors arrive as they were thrown", async () => {
  await using pool = await AsyncPool.open(1);
  for (const name of Object.keys(VALUES) as (keyof typeof VALUES)[]) {
    same(await thrownBy(pool.async(throwValue, name)), VALUES[name](), name);
  }
});

errors.it("rejections are as good as exceptions, also without a reason", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await thrownBy(pool.async(() => Promise.reject())), undefined);
  assert.equal(await thrownBy(pool.async(async () => Promise.reject("why"))), "why");
  const later = async () => {
    await Promise.resolve();
    throw new RangeError("later");
  };
  await failure(pool.async(later), RangeError);
  assert.equal(await pool.async(square, 2), 4);
});

errors.it("an error that is returned is a result", async () => {
  await using pool = await AsyncPool.open(1);
  const result = await pool.async(() => new RangeError("kept"));
  assert.ok(result instanceof RangeError);
  assert.equal(result.message, "kept");
});

errors.it("frozen, with a getter that throws, without a message, with an odd one", async () => {
  await using pool = await AsyncPool.open(1);
  const frozen = () => {
    throw Object.freeze(new Error("frozen"));
  };
  assert.equal((await failure(pool.async(frozen), Error)).message, "frozen");
  const hostile = () => {
    const error = new Error("hostile");
    Object.defineProperty(error, "trap", {
      enumerable: true,
      get() {
        throw new Error("trapped");
      },
    });
    throw error;
  };
  assert.equal((await failure(pool.async(hostile), Error)).message, "hostile");
  const empty = () => {
    throw new Error();
  };
  assert.equal((await failure(pool.async(empty), Error)).message, "");
  const odd = () => {
    throw new Error("two\n    at lines (nowhere:1:1)\n\ud800 \0");
  };
  const expected = "two\n    at lines (nowhere:1:1)\n\ud800 \0";
  assert.equal((await failure(pool.async(odd), Error)).message, expected);
  assert.equal(await pool.async(square, 2), 4);
});

errors.it("what cannot travel inside of an error does not hide the error", async () => {
  await using pool = await AsyncPool.open(1);
  const make = () => {
    const socket = { end: () => {} };
    throw Object.assign(new RangeError("with a socket"), {
      socket,
      later: Promise.resolve(),
      kept: 1,
    });
  };
  const error = await failure(pool.async(make), RangeError);
  assert.deepEqual([error.message, Reflect.get(error, "kept")], ["with a socket", 1]);
  assert.equal(await pool.async(square, 2), 4);
});

errors.it("a thrown value that cannot travel is a ValueError that tells what it was", async () => {
  await using pool = await AsyncPool.open(1);
  const make = () => {
    throw Symbol("odd one");
  };
  const error = await failure(pool.async(make), ValueError);
  assert.match(error.message, /odd one/);
  assert.equal(error.code, "BSYNC_VALUE");
  assert.equal(await pool.async(square, 2), 4);
});

errors.itPerLink(
  "the stack: message, a line that names worker, rank, pid and host, frames",
  async ({ mode }) => {
    await using pool = await AsyncPool.open(1);
    const { stack = "" } = await failure(pool.async(failing.throwExported), Error);
    const { rank, pid, host } = pool.workers[0]!;
    const lines = stack.split("\n");
    assert.match(lines[0] ?? "", /^Error: exported$/);
    const mark = lines.findIndex(
      (line) => line.includes("worker 0") && line.includes(`pid ${pid}`),
    );
    assert.ok(mark > 0, stack);
    assert.ok(lines[mark]!.includes(host), stack);
    if (rank !== null) assert.ok(lines[mark]!.includes(`rank ${rank}`), stack);
    assert.ok(lines.findIndex((line) => line.includes("failing.ts")) > mark, stack);
  },
);

errors.it(
  "the stack: that line has the task's number, its function, and the arguments",
  async () => {
    await using pool = await AsyncPool.open(1);
    const mark = async (handle: PromiseLike<unknown>) => callIn(await failure(handle, Error));
    assert.equal(await mark(pool.async(failing.paint, "red")), 'task 1: paint("red")');
    const far = (list: number[], n: Float64Array, fn: (x: number) => number) => {
      throw new Error(`${list.length + n.length + fn(1)}`);
    };
    const numbers = Array.from({ length: 1000 }, (_, i) => i);
    const shown = await mark(pool.async(far, numbers, new Float64Array(20_000), square));
    assert.ok(shown.startsWith("task 2: "), shown);
    assert.ok(shown.endsWith("([0, 1, 2, 3, … 996 more], Float64Array(20000), square)"), shown);
    const text = await mark(pool.async("(x) => x.y.z", { a: null }));
    assert.equal(text, "task 3: ((x) => x.y.z)({ a: null })");
  },
);

errors.it(
  "the stack: on the worker's side nothing but the program's own, deadline or none",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (const view of [pool, pool.with({ timeout: 5_000 })]) {
      const { stack = "" } = await failure(view.async(failing.throwExported), Error);
      const lines = stack.split("\n");
      const mark = lines.findIndex((line) => line.includes("worker 0"));
      assert.match(lines[mark + 1]!, /failing\.ts/);
      assert.ok(!/node:async_hooks|runInThisContext|\/src\/worker\//.test(stack), stack);
    }
  },
);

errors.itPerLink(
  "the stack: of another attempt, and of a worker that is lost, the attempt as well",
  async () => {
    await using pool = await AsyncPool.open(1);
    const again = pool.with({ retries: 1 });
    const end = async (attempts: number) => {
      if (taskContext().attempt > attempts) throw new RangeError("alive");
      process.kill(process.pid, "SIGKILL");
      await new Promise(() => {});
    };
    const thrown = await failure(again.async(end, 1), RangeError);
    assert.match(callIn(thrown), /^task 1 \(attempt 2\): .*\(1\)$/);
    const lost = await failure(again.async(end, 2), WorkerLostError);
    assert.match(callIn(lost), /^task 2 \(attempt 2\): .*\(2\)$/);
    assert.equal(lost.stack!.split("\n").length, 2);
    const first = await failure(pool.async(end, 1), WorkerLostError);
    assert.match(callIn(first), /^task 3: .*\(1\)$/);
  },
  { processes: true },
);

errors.it("the stack: of a task that runs too long, the call", async () => {
  await using pool = await AsyncPool.open(1);
  const endless = (_: string) => new Promise<never>(() => {});
  const error = await failure(pool.with({ timeout: 5 }).async(endless, "a"), TimeoutError);
  assert.match(callIn(error), /^task 1: .*\("a"\)$/);
  assert.equal(error.stack!.split("\n").length, 2);
});

errors.it("the stack: no frames of bsync, whatever calls the function that throws", async () => {
  await using pool = await AsyncPool.open(1);
  for (const way of failing.ways) {
    const { stack = "" } = await failure(pool.async(failing.throwBy, way), Error);
    const [head, mark, ...frames] = stack.split("\n");
    assert.deepEqual([head, mark!.includes("--- task ")], [`Error: by ${way}`, true]);
    assert.ok(frames.length > 0 && frames[0]!.includes("failing.ts"), stack);
    assert.ok(!frames.some((frame) => /bsync:|\/src\/|async_hooks/.test(frame)), stack);
  }
  const inline = async () => {
    await Bun.sleep(1);
    return await new Promise((_, reject) => setTimeout(() => reject(new Error("inline")), 1));
  };
  const { stack = "" } = await failure(pool.async(inline), Error);
  assert.ok(!/\/src\/|at async bsync/.test(stack), stack);
});

errors.it("the stack: a message in lines, one with another stack, and none", async () => {
  await using pool = await AsyncPool.open(1);
  for (const message of ["one\ntwo\n\n    at three", new Error("inner").stack!, ""]) {
    const { stack = "" } = await failure(pool.async(failing.throwText, message), Error);
    const head = message === "" ? "Error" : `Error: ${message}`;
    assert.ok(stack.startsWith(`${head}\n    at --- task `), stack);
  }
  for (const kept of [undefined, 5, ""]) {
    const error = await failure(pool.async(failing.throwWithStack, kept), Error);
    assert.match(error.stack!, /^Error: kept\n {4}at --- task .* --- \(.*\)$/);
  }
});

errors.it("the stack: the line stands in each error of an AggregateError, too", async () => {
  await using pool = await AsyncPool.open(1);
  const any = () => Promise.any([Promise.reject(new RangeError("one")), Promise.reject(2)]);
  const error = await failure(pool.async(any), AggregateError);
  assert.equal(callIn(error.errors[0] as Error), callIn(error));
  assert.match(callIn(error), /^task 1: /);
});

errors.it("the stack: its lines are those of the files", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(pool.async(failing.throwExported), "failing.ts", "exported");
  await assertLine(pool.async(failing.throwLater), "failing.ts", "later");
  await assertLine(pool.async(failing.throwAfterTypes, { wide: true }), "failing.ts", "typed");
  await assertLine(pool.async(throwsInView), "view.tsx", "view");
  const hidden = failing.callThrowHidden((fn) => pool.async(fn));
  await assertLine(hidden, "failing.ts", "hidden");
});

errors.it("the stack: lines of what an inline function calls", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(
    failing.callThrowFar((fn) => pool.async(fn, 3)),
    "failing.ts",
    "deep",
  );
});

errors.it("the stack: of a text the places in it, and of no file", async () => {
  await using pool = await AsyncPool.open(1);
  const places = {
    "(x) => x.y.z": "(text:1:11)",
    "(x) => {\n  const half = x / 2;\n  return half.y.z;\n}": "(text:3:16)",
    "async (x) => { await null; return x.y.z; }": "(text:1:38)",
  };
  for (const [text, place] of Object.entries(places)) {
    const { stack = "" } = await failure(pool.async(text, 5), TypeError);
    assert.deepEqual(stack.split("\n").slice(2), [`    at <anonymous> ${place}`]);
  }
});

errors.it("the stack: the line of an inline function", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(failing.callThrowInline(pool), "failing.ts", "inline");
});

errors.it("the stack: the line of an inline function below the call", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(failing.callThrowBroken(pool), "failing.ts", "broken");
});

errors.it("the stack: the line of an inline function, after types and comments", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(failing.callThrowTyped(pool), "failing.ts", "inline-typed");
});

errors.it("the stack: the lines of inline functions that are passed on by arrows", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(failing.callThrowMapped(pool)[0]!, "failing.ts", "mapped");
  await assertLine(failing.callThrowReturned(pool)[0]!, "failing.ts", "returned");
});

errors.it("the stack: the line of an inline function that came through a wrapper", async () => {
  await using pool = await AsyncPool.open(1);
  await assertLine(
    failing.callThrowByWrapper((fn) => pool.async(fn)),
    "failing.ts",
    "wrapped",
  );
});

errors.it(
  "get({ reraise: false }) rejects with a ProcException around what was thrown",
  async () => {
    await using pool = await AsyncPool.open(1);
    const handle = pool.async(failing.paint, "red");
    const wrapped = await failure(handle.get({ reraise: false }), ProcException);
    assert.ok(wrapped.exc instanceof failing.PaintError);
    assert.equal(wrapped.exc, await thrownBy(handle.get()));
    assert.ok(wrapped instanceof BsyncError);
    const number = await failure(
      pool.async(throwValue, "number").get({ reraise: false }),
      ProcException,
    );
    assert.equal(number.exc, 42);
    const nothing = pool.async(throwValue, "nothing").get({ reraise: false });
    assert.equal((await failure(nothing, ProcException)).exc, undefined);
    assert.equal(await pool.async(square, 2).get({ reraise: false }), 4);
  },
);

errors.it("every class of bsync extends BsyncError and has its code", () => {
  const codes = {
    BSYNC_TIMEOUT: TimeoutError,
    BSYNC_WORKER_LOST: WorkerLostError,
    BSYNC_CANCELLED: CancelledError,
    BSYNC_POOL_CLOSED: PoolClosedError,
    BSYNC_QUEUE_FULL: QueueFullError,
    BSYNC_CHECKPOINT: CheckpointError,
    BSYNC_FUNCTION: FunctionError,
    BSYNC_VALUE: ValueError,
    BSYNC_MPI: MpiError,
  };
  const lost = { worker: 1, rank: null, pid: 2, exitCode: 3, signal: null };
  for (const [code, kind] of Object.entries(codes)) {
    const error = new (kind as typeof WorkerLostError)("text", lost);
    assert.ok(error instanceof BsyncError && error instanceof Error);
    assert.deepEqual([error.code, error.name], [code, kind.name]);
  }
  assert.ok(new ProcException(1) instanceof BsyncError);
});

errors.it("bsync's own, thrown by a task, arrive as themselves", async () => {
  await using pool = await AsyncPool.open(1);
  const make = () => {
    throw new ValueError("Cannot read the sample: it is empty");
  };
  const error = await failure(pool.async(make), ValueError);
  assert.deepEqual(
    [error.code, error.message],
    ["BSYNC_VALUE", "Cannot read the sample: it is empty"],
  );
});

errors.itPerSize("a hundred failures among a hundred results", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const oddly = (i: number) => {
    if (i % 2) throw new RangeError(String(i));
    return i;
  };
  const settled = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => pool.async(oddly, i)),
  );
  for (const [i, result] of settled.entries()) {
    if (i % 2 === 0) assert.equal(result.status === "fulfilled" && result.value, i);
    else assert.equal(result.status === "rejected" && (result.reason as Error).message, String(i));
  }
});
