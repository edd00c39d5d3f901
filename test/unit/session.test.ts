/** A session whose tasks take in messages, as those do that wait for calls of a pool of their own rank's. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { encodeList } from "../../src/codec/lists.ts";
import { type EncodeContext, encodeValue } from "../../src/codec/value.ts";
import { setMainScript } from "../../src/function/main-script.ts";
import type { WorkerEnd } from "../../src/link/link.ts";
import { TaskWord } from "../../src/link/task-word.ts";
import { Session } from "../../src/worker/session.ts";
import { Kind } from "../../src/wire/frames.ts";
import { introduce } from "../../src/wire/greeting.ts";
import { readFrames } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";

const MAIN = join(import.meta.dir, "fixtures/script.ts");
const DEED = "bsync.test.deed";
const [, script] = process.argv;

afterAll(() => {
  setMainScript(null);
  process.argv[1] = script!;
});

const context: EncodeContext = {
  functionId: () => {
    throw new Error("no functions");
  },
  classOf: () => null,
  framesFor: (frames) => frames,
};
const encoded = (value: unknown) => encodeValue(value, "value", context);

/** A session, and all that it says, as "Result 1". */
class Worker {
  readonly said: string[] = [];
  readonly recalls: TaskWord;
  readonly #session = new Session(1, 0, () => {});

  constructor() {
    const words = new Int32Array(new SharedArrayBuffer(8));
    const note = new TaskWord(words);
    this.recalls = new TaskWord(words);
    const link: WorkerEnd = {
      rank: 0,
      send: (message) => {
        const { bytes, length, buffers } = message.take();
        readFrames(bytes, length, buffers, ({ kind, task }) => {
          const name = Object.entries(Kind).find(([, number]) => number === kind)![0];
          if (kind !== Kind.Usage) this.said.push(`${name} ${task}`);
        });
      },
      prewake() {},
      poll: () => false,
      report: (at) => note.report(at),
      resume: (recall) => note.resume(recall),
      meet() {},
      close() {},
    };
    this.#session.serve(link);
  }

  /** One message of the controller's, and the end of what has come. */
  take(write: (message: MessageWriter) => void): void {
    const message = new MessageWriter(1);
    write(message);
    const { bytes, length, buffers } = message.take();
    this.#session.receive(bytes.slice(0, length), length, buffers);
    this.#session.answer();
  }
}

/** A worker that knows function 1, which has `deed` done with its argument. */
async function open(deed: (word: string) => unknown): Promise<Worker> {
  (globalThis as Record<string, unknown>)[DEED] = deed;
  const worker = new Worker();
  const rules = { main: MAIN, text: null, maxMemory: Infinity, drainSignals: [] };
  worker.take((message) => message.write(Kind.Open, 0, 1, encoded({ ...introduce(0), ...rules })));
  const reference = { kind: "text", text: `(word) => globalThis["${DEED}"](word)` };
  worker.take((message) => {
    message.write(Kind.Function, 0, 0, encoded({ id: 1, reference, label: "deed" }));
    message.write(Kind.Call, 9, 1, encoded(["first"]));
  });
  // The function is found in later turns.
  while (!worker.said.includes("Result 9")) await new Promise((resolve) => setImmediate(resolve));
  worker.said.length = 0;
  return worker;
}

const calls = (message: MessageWriter): void => {
  for (const task of [1, 2, 3]) message.write(Kind.Call, task, 1, encoded([`call ${task}`]));
};

test("calls that lie behind one during which they are recalled are not run", async () => {
  const run: string[] = [];
  const worker = await open((word) => {
    run.push(word);
    if (word === "call 1") {
      worker.take((message) => message.write(Kind.Recall, worker.recalls.recall()));
    }
  });
  worker.take(calls);
  expect(run).toEqual(["first", "call 1"]);
  expect(worker.said).toEqual(["Recalled 1", "Result 1"]);
  // What is sent after that is.
  worker.take((message) => message.write(Kind.Call, 4, 1, encoded(["call 4"])));
  expect(worker.said.at(-1)).toBe("Result 4");
});

test("calls behind a recall in the same message are run", async () => {
  const run: string[] = [];
  const worker = await open((word) => void run.push(word));
  worker.take((message) => {
    message.write(Kind.Recall, worker.recalls.recall());
    calls(message);
  });
  expect(run).toEqual(["first", "call 1", "call 2", "call 3"]);
  expect(worker.said).toEqual(["Recalled 0", "Result 1", "Result 2", "Result 3"]);
});

test("a call that lies behind one during which it is cancelled is answered, and not run", async () => {
  const run: string[] = [];
  const worker = await open((word) => {
    run.push(word);
    if (word === "call 1") worker.take((message) => message.write(Kind.Cancel, 2));
  });
  worker.take(calls);
  expect(run).toEqual(["first", "call 1", "call 3"]);
  expect(worker.said).toEqual(["Result 1", "Result 2", "Result 3"]);
});

/** A list of four calls, the first of which has number 1. */
const list = (message: MessageWriter): void => {
  const items = encodeList(["item 1", "item 2", "item 3", "item 4"]);
  message.write(Kind.Calls, 1, 1, items, Infinity, 1, 1, 0);
};

test("a list that is cancelled by its call on the stack ends with it, also if it awaits then", async () => {
  for (const isLater of [false, true]) {
    const run: string[] = [];
    const worker = await open((word) => {
      run.push(word);
      if (word !== "item 2") return undefined;
      worker.take((message) => message.write(Kind.Cancel, 1));
      return isLater ? new Promise(() => {}) : undefined;
    });
    worker.take(list);
    expect(run).toEqual(["first", "item 1", "item 2"]);
    expect(worker.said.at(-1)).toBe("Result 4");
    worker.take((message) => message.write(Kind.Call, 5, 1, encoded(["call 5"])));
    expect(worker.said.at(-1)).toBe("Result 5");
  }
});

test("a list that is cancelled, and then recalled, while a call of it awaits", async () => {
  const run: string[] = [];
  const worker = await open((word) => {
    run.push(word);
    return word === "item 2" ? new Promise(() => {}) : undefined;
  });
  worker.take(list);
  worker.take((message) => message.write(Kind.Cancel, 1));
  // The controller may have reclaimed what lies behind the second: then that is the last.
  expect(worker.said.slice(-2)).toEqual(["Result 2", "Result 4"]);
  worker.take((message) => message.write(Kind.Call, 5, 1, encoded(["call 5"])));
  expect(worker.said.at(-1)).toBe("Result 5");
  expect(run).toEqual(["first", "item 1", "item 2", "call 5"]);
});
