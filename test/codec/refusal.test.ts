import { describe, expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { Readable } from "node:stream";
import { Request as MpiRequest, world } from "../../mpi.ts";
import { encodeValue } from "../../src/codec/value.ts";
import { FunctionError, ValueError } from "../../src/errors.ts";
import { Known, refusal, roundTrip } from "./trip.ts";

async function* asyncNumbers(): AsyncGenerator<number> {
  yield 1;
}
function* numbers(): Generator<number> {
  yield 1;
}

const revoked = Proxy.revocable({}, {});
revoked.revoke();

/** What is refused, and what it is called. */
const refused: readonly (readonly [unknown, string])[] = [
  [Symbol("s"), "a symbol"],
  [Object(Symbol("s")), "a Symbol"],
  [Promise.resolve(1), "a Promise"],
  [new (class Later extends Promise<number> {})(() => {}), "a Promise"],
  [new WeakMap(), "a WeakMap"],
  [new WeakSet(), "a WeakSet"],
  [new WeakRef({}), "a WeakRef"],
  [new FinalizationRegistry(() => {}), "a FinalizationRegistry"],
  [numbers(), "a Generator"],
  [asyncNumbers(), "an AsyncGenerator"],
  [[1].values(), "an Iterator"],
  [new Map().entries(), "an Iterator"],
  [new EventEmitter(), "an EventEmitter"],
  [new (class Bus extends EventEmitter {})(), "a Bus"],
  [new Socket(), "a Socket"],
  [new Readable(), "a Readable"],
  [new ReadableStream(), "a ReadableStream"],
  [new WritableStream(), "a WritableStream"],
  [new AbortController().signal, "an AbortSignal"],
  [new AbortController(), "an AbortController"],
  [new EventTarget(), "an EventTarget"],
  [new Event("x"), "an Event"],
  [new URL("http://localhost/"), "a URL"],
  [new URLSearchParams("a=1"), "a URLSearchParams"],
  [new Headers(), "a Headers"],
  [new FormData(), "a FormData"],
  [new Request("http://localhost/"), "a Request"],
  [new Response("x"), "a Response"],
  [new TextDecoder(), "a TextDecoder"],
  [new MessageChannel().port1, "a MessagePort"],
  [new Intl.NumberFormat(), "a NumberFormat"],
  [Bun.file(0), "a Blob"],
  [world, "a Communicator"],
  [revoked.proxy, "a Proxy"],
  [new Proxy(new Map(), {}), "a Proxy"],
];

describe("what cannot travel", () => {
  for (const [value, name] of refused) {
    test(`${name} is refused by name`, () => {
      expect(refusal(value)).toStartWith(
        `ValueError: Cannot send args[0]: ${name} cannot travel to another process; `,
      );
    });
  }

  test("of two kinds of one name each has its advice", () => {
    expect(refusal(world)).toEndWith("make it there in the same way");
    expect(refusal(new Request("http://localhost/"))).toContain("pass its URL");
    const request: unknown = Object.create(MpiRequest.prototype);
    expect(refusal(request)).toEndWith(
      "a Request cannot travel to another process; await it first",
    );
  });

  test("a timer and a child process are refused", () => {
    const timer = setTimeout(() => {}, 1);
    clearTimeout(timer);
    expect(refusal(timer)).toContain("a Timeout cannot travel");
    const child = Bun.spawn(["true"]);
    expect(refusal(child)).toContain("a Subprocess cannot travel");
  });

  test("what a getter throws is the cause", () => {
    const boom = new RangeError("boom");
    const value = {
      list: [{ get bad() { throw boom; } }], // prettier-ignore
    };
    try {
      encodeValue([value], "args", new Known());
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ValueError);
      expect((error as Error).message).toBe(
        "Cannot send args[0].list[0].bad: reading it threw RangeError: boom",
      );
      expect((error as Error).cause).toBe(boom);
    }
  });

  test("a proxy that throws is refused where it stands", () => {
    const proxy = new Proxy({ a: 1 }, { ownKeys: () => { throw new Error("no keys"); } }); // prettier-ignore
    expect(refusal([proxy])).toBe(
      "ValueError: Cannot send args[0][0]: reading it threw Error: no keys",
    );
  });

  test("what the context says about a function is passed on", () => {
    const fn = (): void => {};
    expect(() => encodeValue([{ fn }], "args", new Known())).toThrow(FunctionError);
    expect(refusal({ fn })).toBe("FunctionError: Cannot send args[0].fn: nobody knows it");
  });

  test("after a refusal the next value travels", () => {
    refusal({ a: [Symbol("s")] });
    expect(roundTrip({ a: [1] })).toEqual({ a: [1] });
  });
});

describe("paths", () => {
  const bad = Symbol("s");
  const paths: readonly (readonly [unknown, string])[] = [
    [{ socket: bad }, "args[0].socket"],
    [[1, 2, [bad]], "args[0][2][0]"],
    [{ "odd key": { "": bad } }, 'args[0]["odd key"][""]'],
    [{ 7: { größe: bad } }, "args[0][7].größe"],
    [{ "\ud800": bad }, 'args[0]["…"]'],
    [new Map([["a", [bad]]]), 'args[0].get("a")[0]'],
    [new Map([[5, bad]]), "args[0].get(5)"],
    [new Map([[{}, bad]]), "args[0].values()[0]"],
    [new Map<unknown, unknown>([[1, 2], [bad, 1]]), "args[0].keys()[1]"], // prettier-ignore
    [new Set([1, { x: bad }]), "args[0].values()[1].x"],
    [new Error("e", { cause: { bad } }), "args[0].cause.bad"],
    [new AggregateError([1, bad]), "args[0].errors[1]"],
    [Object.assign(new Error("e"), { extra: bad }), "args[0].extra"],
    [[, { a: bad }], "args[0][1].a"],
    [Object.assign([1], { extra: bad }), "args[0].extra"],
    [Object.assign(Object.create(null), { a: bad }), "args[0].a"],
  ];
  for (const [value, path] of paths) {
    test(path, () => {
      expect(refusal(value)).toStartWith(`ValueError: Cannot send ${path}: a symbol cannot travel`);
    });
  }

  test("the root alone, and roots of other names", () => {
    expect(() => encodeValue(bad, "result", new Known())).toThrow("Cannot send result: a symbol");
    expect(() => encodeValue({ a: bad }, "result", new Known())).toThrow("Cannot send result.a: ");
  });

  test("a very long path is cut in the middle", () => {
    let value: unknown = bad;
    for (let i = 0; i < 1000; i++) value = { next: value };
    expect(refusal(value).length).toBeLessThan(400);
    expect(refusal(value)).toContain(".next…");
  });
});
