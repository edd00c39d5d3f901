/** The live page: who is served, and what. */
import { describe, expect, test } from "bun:test";
import { FILES } from "../src/watch/page/files.ts";
import { AsyncPool, BsyncError, type Dashboard, PoolClosedError, taskContext } from "../index.ts";

function fail(text: string): never {
  throw new RangeError(text);
}

async function get(
  url: string | URL,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<Response> {
  return await fetch(url, { headers, method, redirect: "manual" });
}

const originOf = ({ url }: Dashboard) => new URL(url).origin;

async function cookieOf({ url }: Dashboard): Promise<string> {
  return (await get(url)).headers.get("set-cookie")!.split(";", 1)[0]!;
}

/** The first `count` messages, or the code with which the socket was closed. */
function messages(url: string, headers: Record<string, string>, count = 1): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const found: string[] = [];
  const socket = new WebSocket(url, { headers } as never);
  socket.onmessage = ({ data }) => {
    if (found.push(String(data)) === count) socket.close();
  };
  socket.onclose = () => resolve(found);
  return promise;
}

/** A picture of the page, as it is sent. */
type Picture = Record<string, any>;

/** A viewer until the server ends: what is sent first, and last. */
async function viewerOf(
  dashboard: Dashboard,
): Promise<{ first: Promise<Picture>; last: Promise<Picture> }> {
  const headers = { cookie: await cookieOf(dashboard) };
  const socket = new WebSocket(`ws://127.0.0.1:${dashboard.port}/live`, { headers } as never);
  const first = Promise.withResolvers<Picture>();
  const last = Promise.withResolvers<Picture>();
  let picture: Picture = {};
  socket.onmessage = ({ data }) => {
    picture = JSON.parse(String(data)) as Picture;
    first.resolve(picture);
  };
  socket.onclose = () => last.resolve(picture);
  return { first: first.promise, last: last.promise };
}

/** The first picture that is as `isIt` says. */
async function pictureWhere(
  dashboard: Dashboard,
  isIt: (picture: Picture) => boolean,
): Promise<Picture> {
  const headers = { cookie: await cookieOf(dashboard) };
  const socket = new WebSocket(`ws://127.0.0.1:${dashboard.port}/live`, { headers } as never);
  const { promise, resolve } = Promise.withResolvers<Picture>();
  socket.onmessage = ({ data }) => {
    const picture = JSON.parse(String(data)) as Picture;
    if (isIt(picture)) resolve(picture);
  };
  socket.onclose = () => resolve({});
  const picture = await promise;
  socket.close();
  return picture;
}

describe("access", () => {
  test("the token gives a cookie and leaves the address; with the cookie all is served", async () => {
    await using pool = await AsyncPool.open(1);
    using dashboard = await pool.dashboard();
    const first = await get(dashboard.url);
    expect(first.status).toBe(303);
    expect(first.headers.get("location")).toBe("/");
    const set = first.headers.get("set-cookie")!;
    expect(set).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    const token = new URL(dashboard.url).searchParams.get("token")!;
    expect(set).not.toContain(token);
    const cookie = set.split(";", 1)[0]!;
    for (const path of [...Object.keys(FILES), "/metrics"]) {
      const page = await get(originOf(dashboard) + path, { cookie });
      expect(page.status).toBe(200);
      const policy = page.headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain("unsafe");
      const text = await page.text();
      expect(text).not.toContain(token);
      if (path === "/") expect(text).not.toMatch(/<script>|style=| on\w+=/);
      if (path.endsWith(".js"))
        expect(text).not.toMatch(/innerHTML|insertAdjacent|document\.write/);
    }
    expect((await get(`${originOf(dashboard)}/package.json`, { cookie })).status).toBe(404);
  });

  test("nothing is served to anybody else, by fetch or WebSocket", async () => {
    await using pool = await AsyncPool.open(1);
    using dashboard = await pool.dashboard();
    const origin = originOf(dashboard);
    const cookie = await cookieOf(dashboard);
    const live = `${origin.replace("http", "ws")}/live`;
    const refused: [Record<string, string>, string?, string?][] = [
      [{}],
      [{}, "?token="],
      [{}, "?token=x"],
      [{}, `${new URL(dashboard.url).search}x`],
      [{ cookie: `${cookie}x` }],
      [{ cookie: cookie.replace("bsync", "other") }],
      [{ cookie, host: "evil.example" }],
      [{ cookie, host: `localhost.evil.example:${dashboard.port}` }],
      [{ cookie, origin: "http://evil.example" }],
      [{ cookie, origin: "null" }],
      [{ cookie, origin: `http://localhost:${dashboard.port + 1}` }],
      [{ cookie, "sec-fetch-site": "cross-site" }],
      [{ cookie, "sec-fetch-site": "same-site" }],
      [{ cookie }, "", "POST"],
      [{ cookie }, "", "DELETE"],
      [{ cookie }, "", "OPTIONS"],
      [{ authorization: "Bearer x" }],
    ];
    for (const [headers, search = "", method = "GET"] of refused) {
      for (const path of ["/", "/metrics", "/live"]) {
        const page = await get(origin + path + search, headers, method);
        expect([401, 403, 405]).toContain(page.status);
        expect(page.headers.get("set-cookie")).toBeNull();
        expect(await page.text()).not.toContain("bsync_");
      }
      if (method === "GET") expect(await messages(live + search, headers)).toEqual([]);
    }
    expect(await messages(live, { cookie, origin })).toHaveLength(1);
    // As `ssh -L` has it with another port of its own.
    const host = "localhost:9999";
    expect((await get(origin, { cookie, host, "sec-fetch-site": "none" })).status).toBe(200);
  });

  test("after stop, and after the end of the pool, nobody answers", async () => {
    const pool = await AsyncPool.open(1);
    const first = await pool.dashboard();
    const second = await pool.dashboard();
    const cookie = await cookieOf(first);
    first.stop();
    first.stop();
    await expect(get(originOf(first), { cookie })).rejects.toThrow();
    const again = await pool.dashboard({ port: first.port });
    expect((await get(originOf(again), { cookie })).status).toBe(401);
    expect((await get(second.url)).status).toBe(303);
    await pool.close();
    await expect(get(second.url)).rejects.toThrow();
    await expect(get(again.url)).rejects.toThrow();
    await expect(pool.dashboard()).rejects.toThrow(PoolClosedError);
  });
});

test("a port in use, and options that are none, are errors for a person", async () => {
  await using pool = await AsyncPool.open(1);
  const { port } = await pool.dashboard();
  const error = await pool.dashboard({ port }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(BsyncError);
  expect((error as BsyncError).code).toBe("BSYNC_DASHBOARD");
  expect((error as BsyncError).message).toContain(`port ${port} of 127.0.0.1 is in use`);
  for (const wrong of [{ port: -1 }, { port: 1.5 }, { port: 65_536 }]) {
    await expect(pool.dashboard(wrong)).rejects.toThrow(RangeError);
  }
  for (const wrong of [{ port: "80" }, { host: "" }, { colour: 1 }, null]) {
    await expect(pool.dashboard(wrong as never)).rejects.toThrow(TypeError);
  }
});

test("the metrics are Prometheus text, and agree with the stats", async () => {
  await using pool = await AsyncPool.open(2);
  using dashboard = await pool.dashboard();
  await Promise.allSettled([pool.async("Math.hypot", 3, 4), pool.async(fail, "x")]);
  const token = new URL(dashboard.url).searchParams.get("token")!;
  const metrics = `${originOf(dashboard)}/metrics`;
  const page = await get(metrics, { authorization: `Bearer ${token}` });
  expect(page.headers.get("content-type")).toContain("version=0.0.4");
  const text = await page.text();
  expect((await get(`${metrics}?token=${token}`)).status).toBe(200);
  const values = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.trimEnd().split("\n")) {
    const [, name, type] = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (name !== undefined) types.set(name, type!);
    if (line.startsWith("#")) continue;
    const [, key, value] = /^([a-z_]+(?:\{\w+="[^"]*"\})?) (\S+)$/.exec(line)!;
    expect(values.has(key!)).toBeFalse();
    expect(Number(value)).toBeNumber();
    values.set(key!, Number(value));
    const family = key!.replace(/\{.*/, "");
    const stem = family.replace(/_(bucket|sum|count)$/, "");
    expect(types.has(family) || types.get(stem) === "histogram").toBeTrue();
  }
  expect(values.get('bsync_tasks_total{state="done"}')).toBe(1);
  expect(values.get('bsync_tasks_total{state="failed"}')).toBe(1);
  expect(values.get("bsync_workers")).toBe(2);
  const buckets = [...values].filter(([key]) => key.startsWith("bsync_task_run_seconds_bucket"));
  const counts = buckets.map(([, value]) => value);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(counts.at(-1)).toBe(values.get("bsync_task_run_seconds_count")!);
});

test("a viewer sees workers, what runs, failures with their stack, and the end", async () => {
  const pool = await AsyncPool.open(2);
  const dashboard = await pool.dashboard();
  const failed = pool.async(fail, "<b>wrong</b>");
  await failed.get().catch(() => {});
  const viewer = await viewerOf(dashboard);
  const { workers, failures } = await viewer.first;
  expect(workers).toHaveLength(2);
  expect(failures[0].slice(0, 2)).toEqual(["RangeError: <b>wrong</b>", 1]);
  expect(failures[0][2]).toContain("dashboard.test.ts");
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => pool.async("Math.abs", i)));
  await pool.close();
  const { isOver, end, totals, slices } = await viewer.last;
  expect([isOver, end, totals.done]).toEqual([true, "closed", 1_000]);
  expect(slices.length).toBeLessThanOrEqual(250);
});

test("of a page that is stopped it is not said that the pool is over", async () => {
  await using pool = await AsyncPool.open(1);
  const dashboard = await pool.dashboard();
  const viewer = await viewerOf(dashboard);
  await viewer.first;
  dashboard.stop();
  const { isOver, end } = await viewer.last;
  expect([isOver, end]).toEqual([true, null]);
});

/** On one of the workers each takes three times as long. */
async function uneven(): Promise<void> {
  await Bun.sleep(taskContext().worker === 1 ? 30 : 10);
}

test("a worker that takes longer for the same functions is named", async () => {
  await using pool = await AsyncPool.open(3);
  using dashboard = await pool.dashboard();
  const results = pool.map(uneven, endless());
  const end = results.next();
  const { slow } = await pictureWhere(dashboard, ({ slow: [first] }) => first?.[0] === 1);
  expect(slow[0][1]).toBeGreaterThanOrEqual(1.4);
  await end;
  await results.return();
});

function* endless(): Generator<number> {
  for (let i = 0; ; i++) yield i;
}

/** Of twenty items the fourth fails, and from the eleventh on none comes to an end. */
async function tenth(i: number): Promise<number> {
  if (i === 3) throw new RangeError("the fourth");
  if (i >= 10) await new Promise(() => {});
  return i;
}

describe("progress", () => {
  const twenty = Array.from({ length: 20 }, (_, i) => i);

  /** What is told of the only source, once ten of it have ended. */
  async function toldOf(
    begin: (pool: AsyncPool) => Promise<unknown>,
  ): Promise<readonly [kind: string, name: string, done: number, failed: number, total: unknown]> {
    const pool = await AsyncPool.open(2, { unhandled: "ignore" });
    const dashboard = await pool.dashboard();
    const end = begin(pool).catch((error: unknown) => error);
    const { progress } = await pictureWhere(
      dashboard,
      ({ progress: [source] }) => source?.[3] >= 10,
    );
    expect(progress).toHaveLength(1);
    const [, kind, name, done, failed, total, , isUnderWay] = progress[0];
    expect(isUnderWay).toBeTrue();
    await pool.terminate();
    await end;
    return [kind, name, done, failed, total];
  }

  async function read(results: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of results);
  }

  function* generated(): Generator<number> {
    yield* twenty;
  }

  test("of a map is told while it is under way", async () => {
    const settled = { settled: true } as const;
    const map = await toldOf(async (pool) => await pool.map(tenth, twenty, settled));
    expect(map).toEqual(["map", "tenth", 10, 1, 20]);
    const endless = await toldOf((pool) => read(pool.map(tenth, generated(), settled)));
    expect(endless).toEqual(["map", "tenth", 10, 1, null]);
    const tuples = twenty.map((i) => [i] as [number]);
    const starmap = await toldOf(async (pool) => await pool.starmap(tenth, tuples, settled));
    expect(starmap).toEqual(["starmap", "tenth", 10, 1, 20]);
  });

  test("of a list of handles is told while it is waited for", async () => {
    const handles = (pool: AsyncPool) => twenty.map((i) => pool.async(tenth, i));
    const completed = await toldOf((pool) => read(pool.asCompleted(handles(pool))));
    expect(completed).toEqual(["asCompleted", "tenth", 10, 1, 20]);
    const good = (pool: AsyncPool) => twenty.map((i) => pool.async(tenth, i < 10 ? 0 : i));
    const all = await toldOf((pool) => pool.all([pool.async("Math.abs", 1), ...good(pool)]));
    expect(all.slice(0, 2)).toEqual(["all", "Math.abs and others"]);
    expect(all.slice(3)).toEqual([0, 21]);
  });

  test("is told with its last numbers once the map is over, and of later ones anew", async () => {
    await using pool = await AsyncPool.open(2);
    using dashboard = await pool.dashboard();
    const release = Promise.withResolvers<void>();
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await release.promise;
      yield 2;
    }
    const results = pool.map("Math.abs", source());
    const end = read(results);
    const { progress } = await pictureWhere(dashboard, ({ progress: [source] }) => {
      if (source?.[3] === 1) release.resolve();
      return source?.[7] === false;
    });
    expect(progress).toHaveLength(1);
    expect(progress[0].slice(1, 6)).toEqual(["map", "Math.abs", 2, 0, null]);
    await end;
  });

  test("nothing is kept of what is over, or left", async () => {
    await using pool = await AsyncPool.open(2, { unhandled: "ignore" });
    using dashboard = await pool.dashboard();
    await pool.map("Math.abs", [1, 2, 3]);
    for await (const _ of pool.map("Math.abs", twenty)) break;
    await read(pool.map(fail, ["x"])).catch(() => {});
    await pool.all([pool.async("Math.abs", 1)]);
    await pool.all([pool.async(fail, "x")]).catch(() => {});
    for await (const _ of pool.asCompleted([pool.async("Math.abs", 1), pool.async("Math.abs", 2)]))
      break;
    // Nobody reads this one to its end.
    const completed = pool.asCompleted([pool.async("Math.abs", 1), pool.async("Math.abs", 2)]);
    await completed.next();
    await pool.idle();
    const viewer = await viewerOf(dashboard);
    expect((await viewer.first).progress).toEqual([]);
    expect((await viewer.first).moreProgress).toBe(0);
  });
});
