import { AsyncPool, ValueError } from "../../../index.ts";
import { assert, failure, same } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as fixture from "../fixtures/values.ts";

export const values = new Subject("values", "code");

/** 100 MB, in decimal as in the documentation. */
const LARGE_BYTES = 100_000_000;
const STEP = 4099;

for (const name of Object.keys(fixture.SAMPLES)) {
  values.it(`${name}: the same as argument and as result`, async () => {
    await using pool = await AsyncPool.open(1);
    const make = fixture.SAMPLES[name]!;
    same(await pool.async(fixture.trade, name, make(), same), make(), "the worker's value");
    same(await pool.async(fixture.echo, make()), make(), "the echo");
  });
}

values.it("one object in two arguments is one object", async () => {
  await using pool = await AsyncPool.open(1);
  const equal = (a: unknown, b: { a: unknown }) => a === b.a;
  const object = { n: 1 };
  assert.equal(await pool.async(equal, object, { a: object }), true);
  assert.equal(await pool.async(equal, object, { a: { n: 1 } }), false);
  const bytes = new Uint8Array(100_000);
  assert.equal(await pool.async(equal, bytes, { a: bytes }), true);
  const date = new Date();
  assert.equal(await pool.async(equal, date, { a: date }), true);
});

values.it("an instance of a class is its own properties", async () => {
  await using pool = await AsyncPool.open(1);
  same(await pool.async(fixture.makePoint), { x: 1, y: 2 });
  same(await pool.async(fixture.echo, fixture.makePoint()), { x: 1, y: 2 });
});

values.it(
  "objects of the runtime: those that structured clone makes plain, keys, files",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (const kind of fixture.HOST_KINDS) {
      const here = await fixture.makeHost(kind);
      const keys = Object.keys(structuredClone(here));
      for (const made of [pool.async(fixture.echo, here), pool.async(fixture.makeHost, kind)]) {
        assert.deepEqual(Object.keys((await made) as object), keys, kind);
        assert.equal(Object.getPrototypeOf(await made), Object.prototype);
      }
    }
    const { createSecretKey } = await import("node:crypto");
    const key = await pool.async(fixture.echo, createSecretKey(Buffer.from("key")));
    assert.equal((key as ReturnType<typeof createSecretKey>).export().toString(), "key");
    const text = await pool.async((file: Blob) => file.text(), Bun.file(import.meta.path));
    assert.ok(text.includes("objects of the runtime"));
  },
);

values.it("arguments stay as they were: buffers are not given away", async () => {
  await using pool = await AsyncPool.open(1);
  const data = new Uint8Array(200_000).fill(3);
  const result = await pool.async((bytes: Uint8Array) => bytes, data);
  assert.deepEqual(
    [data.length, data[199_999], result.length, result[199_999]],
    [200_000, 3, 200_000, 3],
  );
  result[0] = 9;
  assert.equal(data[0], 3);
});

values.it("results are the caller's own to change", async () => {
  await using pool = await AsyncPool.open(1);
  const [one, other] = await Promise.all([
    pool.async(() => new Uint8Array(100).fill(1)),
    pool.async(() => new Uint8Array(100).fill(2)),
  ]);
  one.fill(5);
  assert.deepEqual([one[99], other[99], other.byteLength], [5, 2, 100]);
});

values.itPerSize("a hundred calls at once with arguments of a megabyte", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const make = (fill: number) => new Uint8Array(1_000_000).fill(fill);
  const last = (bytes: Uint8Array) => bytes.at(-1);
  const handles = Array.from({ length: 100 }, (_, i) => pool.async(last, make(i)));
  assert.deepEqual(
    await Promise.all(handles),
    Array.from({ length: 100 }, (_, i) => i),
  );
});

values.itPerSize(
  "100 MB to and from every worker at once",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const data = new Uint8Array(LARGE_BYTES);
    for (let i = 0; i < data.length; i += STEP) data[i] = (i / STEP) % 251;
    const handles = Array.from({ length: workers }, () =>
      pool.async(fixture.turnBytes, data, STEP),
    );
    for (const handle of handles) {
      const result = await handle;
      assert.equal(result.length, LARGE_BYTES);
      for (let i = 0; i < result.length; i += STEP) {
        if (result[i] !== 250 - ((i / STEP) % 251)) throw new Error(`byte ${i} is ${result[i]}`);
      }
    }
    assert.equal(await pool.async(square, 3), 9);
  },
  { limit: 60_000, slow: true },
);

for (const [name, { make, path, what }] of Object.entries(fixture.TROUBLE)) {
  values.it(`${name}: cannot travel, which its own task is told with the path`, async () => {
    await using pool = await AsyncPool.open(1);
    const argument = await failure(pool.async(fixture.echo, make()), ValueError);
    assert.ok(argument.message.includes(`args[0]${path}`), argument.message);
    assert.match(argument.message, what);
    assert.equal(argument.code, "BSYNC_VALUE");
    assert.equal(await pool.async(square, 3), 9);
    const result = await failure(pool.async(fixture.returnTrouble, name), ValueError);
    assert.ok(result.message.includes(`result${path}`), result.message);
    assert.equal(await pool.async(square, 3), 9);
  });

  values.it(`${name}: when thrown, something is said of it, and the worker goes on`, async () => {
    await using pool = await AsyncPool.open(1);
    for (const fn of [fixture.throwTrouble, fixture.rejectTrouble]) {
      const outcome = await pool
        .async(fn, name)
        .get()
        .then(
          () => assert.fail("it did not fail"),
          (error: unknown) => Bun.inspect(error),
        );
      assert.notEqual(outcome, "undefined");
      assert.equal(await pool.async(square, 3), 9);
    }
  });
}

values.it("the path counts arguments", async () => {
  await using pool = await AsyncPool.open(1);
  const list = (...args: unknown[]) => args.length;
  const error = await failure(
    pool.async(list, 1, { a: [] }, { socket: new WeakSet() }),
    ValueError,
  );
  assert.ok(error.message.includes("args[2].socket"), error.message);
});

values.it(
  "an argument that cannot travel fails at once, whatever is queued before it",
  async () => {
    await using pool = await AsyncPool.open(1);
    const before = Array.from({ length: 20 }, (_, i) => pool.async(square, i));
    const bad = pool.async(fixture.echo, Symbol("s"));
    const after = Array.from({ length: 20 }, (_, i) => pool.async(square, i));
    await failure(bad, ValueError);
    assert.deepEqual(await Promise.all(before), await Promise.all(after));
    assert.deepEqual([bad.state, bad.ready()], ["failed", true]);
  },
);

values.it("a handle, a pool and a view of one stay where they are", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(square, 3);
  for (const [value, advice] of [
    [handle, /await it first/],
    [pool, /where it was opened/],
    [pool.with({}), /where its pool was opened/],
  ] as const) {
    const { message } = await failure(pool.async(fixture.echo, { value }), ValueError);
    assert.match(message, /args\[0\]\.value/);
    assert.match(message, advice);
  }
  assert.equal(await handle, 9);
  assert.equal(Bun.inspect(handle), "MessageHandle { task 1 (square): done }");
  assert.equal(JSON.stringify([handle]), '[{"task":1,"function":"square","state":"done"}]');
});

values.it("each tells of an argument that cannot travel", async () => {
  await using pool = await AsyncPool.open(1);
  await failure(pool.each(fixture.echo, Symbol("s")), ValueError);
  assert.equal(await pool.async(square, 3), 9);
});
