/** The live page in a browser: what a person sees of a job, by keyboard and on a phone, and who sees nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { AsyncPool, type Dashboard, taskContext } from "../../index.ts";
import { DashboardServer } from "../../src/watch/dashboard.ts";
import type { PoolStats } from "../../src/watch/stats.ts";
import { Watch } from "../../src/watch/watch.ts";
import { launchChromium } from "../setup/chromium.ts";

/** ms to start a browser, or to install one. */
const START_MS = 300_000;
/** ms for what the page shows at its next picture or the one after: others want the cores, too. */
const SHOWN_MS = 60_000;
/** A name that leads to this machine: its owner has made it so. */
const ELSEWHERE = "evil.example";
const MARKUP = '<img src="x" onerror="document.title=1"><b>wrong</b>';

// What runs in the browser is text here: these types know of no page.
const TELL_POLICY = `addEventListener("securitypolicyviolation", ({ violatedDirective }) =>
  console.error("policy: " + violatedDirective));`;

/** What a page gets of another origin, with the browser's cookies, in all the ways that a page has. */
const STEAL = `async (target) => {
  const found = [];
  for (const path of ["/", "/page.js", "/metrics"]) {
    for (const mode of ["cors", "no-cors"]) {
      const asked = fetch(target + path, { credentials: "include", mode });
      const text = await asked.then((response) => response.text(), () => "");
      if (text !== "") found.push(text);
    }
  }
  await new Promise((resolve) => {
    const socket = new WebSocket(target.replace("http", "ws") + "/live");
    socket.onmessage = ({ data }) => found.push(data);
    socket.onclose = resolve;
  });
  for (const type of ["text/javascript", "module"]) {
    const script = Object.assign(document.createElement("script"), { src: target + "/page.js", type });
    await new Promise((resolve) => {
      script.onload = () => resolve(found.push("a script"));
      script.onerror = resolve;
      document.body.append(script);
    });
  }
  return found;
}`;

let browser: Browser;
beforeAll(async () => void (browser = await launchChromium(ELSEWHERE)), START_MS);
afterAll(() => browser?.close());

function fail(text: string): never {
  throw new RangeError(text);
}

/** Ends its process at the first attempt. */
function die(): number {
  if (taskContext().attempt === 1) process.kill(process.pid, "SIGKILL");
  return taskContext().attempt;
}

/** Of a hundred items each tenth fails; from the fiftieth on they wait for ever. */
async function half(i: number): Promise<number> {
  if (i >= 50) await new Promise(() => {});
  if (i % 10 === 9) throw new TypeError("a tenth");
  return i;
}

interface Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the browser has complained of. */
  readonly complaints: string[];
}

async function visit(width = 1100): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width, height: 900 } });
  context.setDefaultTimeout(SHOWN_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() !== "log") complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(TELL_POLICY);
  return { context, page, complaints };
}

const originOf = ({ url }: Dashboard) => new URL(url).origin;

/** Waits until the element has that text, or text of that form. */
async function shows(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor();
}

/** The number that stands under that name. */
async function totalIs(page: Page, name: string, value: string): Promise<void> {
  const exact = new RegExp(`^${value}$`);
  const group = page.locator("#totals div").filter({ has: page.getByText(name, { exact: true }) });
  await group.locator("dd").filter({ hasText: exact }).waitFor();
}

/** How much wider than the window the page is. */
async function overflow(page: Page): Promise<number> {
  return await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
}

/** Whether something is drawn on a canvas. */
async function isDrawn(page: Page, selector: string): Promise<boolean> {
  const canvas = `document.querySelector(${JSON.stringify(selector)})`;
  return await page.evaluate<boolean>(
    `${canvas}.getContext("2d").getImageData(0, 0, ${canvas}.width, ${canvas}.height)` +
      ".data.some((value) => value > 0)",
  );
}

test(
  "a person follows a job from its begin to its end",
  async () => {
    const pool = await AsyncPool.open(2, { unhandled: "ignore" });
    const dashboard = await pool.dashboard();
    const { context, page, complaints } = await visit();

    // The token opens it, and leaves the address; it is in no other place either.
    await page.goto(dashboard.url);
    expect(page.url()).toBe(`${originOf(dashboard)}/`);
    await shows(page, "#state", /^running for /);
    const token = new URL(dashboard.url).searchParams.get("token")!;
    expect(await page.content()).not.toContain(token);
    await page.goBack().catch(() => {});
    await page.goto(originOf(dashboard));

    // A job, a failure with its stack.
    await shows(page, "#failures", "none");
    await Promise.all(Array.from({ length: 1_234 }, (_, i) => pool.async("Math.abs", i)));
    await totalIs(page, "done", "1,234");
    await pool
      .async(fail, MARKUP)
      .get()
      .catch(() => {});
    await shows(page, "#failures summary", `1 × RangeError: ${MARKUP}`);
    await totalIs(page, "failed", "1");
    expect(await page.locator("#failures :is(img, b)").count()).toBe(0);
    expect(await page.locator("#failures pre").isVisible()).toBeFalse();

    // By keyboard: the stack, then the button, then the space bar anywhere.
    await page.locator("body").press("Tab");
    expect(await page.evaluate<string>("document.activeElement.id")).toBe("hold");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await shows(page, "#failures details[open] pre", /dashboard\.test\.ts/);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Space");
    await shows(page, "#state", /^held/);
    expect(await page.locator("#hold").getAttribute("aria-pressed")).toBe("true");
    await pool.async("Math.abs", 1);
    await page.locator("h1").click();
    await totalIs(page, "done", "1,234");
    await page.keyboard.press("Space");
    await totalIs(page, "done", "1,235");
    expect(await page.locator("#failures details[open]").count()).toBe(1);

    // A worker is killed.
    expect(await pool.with({ retries: 1 }).async(die)).toBe(2);
    await totalIs(page, "workers lost", "1");
    await totalIs(page, "retried", "1");

    // A map is under way.
    const hundred = Array.from({ length: 100 }, (_, i) => i);
    const map = pool.map(half, hundred, { settled: true, chunk: 1 });
    const end = Promise.allSettled([Array.fromAsync(map)]);
    await shows(page, ".source", /map half.*50 of 100 \(50 %\).*5 failed/);
    const bar = page.locator(".source progress");
    expect(await bar.getAttribute("value")).toBe("50");
    expect(await bar.getAttribute("max")).toBe("100");
    await shows(page, "#failures summary", "5 × TypeError: a tenth");
    await totalIs(page, "running", "2");
    expect(await page.locator("#workers tr").count()).toBe(3);
    for (const canvas of ["#lanes canvas", "#rate", "#lengths"]) {
      expect(await isDrawn(page, canvas)).toBeTrue();
    }
    await page.locator("#lanes canvas").hover({ position: { x: 1_050, y: 8 } });
    await shows(page, "#pointed", /^worker 0: half, task [\d,]+, runs for /);

    // On a phone, and in the dark.
    for (const width of [320, 360, 768]) {
      await page.setViewportSize({ width, height: 700 });
      expect(await overflow(page)).toBe(0);
    }
    const ground = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const light = await ground();
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await ground()).not.toBe(light);

    // The end.
    await pool.terminate();
    await end;
    await shows(page, "#state", /^stopped: the pool was terminated after /);
    await shows(page, ".source", /\d+ of 100 \(\d+ %\) · ended there/);
    expect(await page.title()).toBe("stopped · bsync");
    expect(complaints).toEqual([]);
    await context.close();
  },
  START_MS,
);

describe("nothing is served", () => {
  /** What a page of that origin gets of the dashboard, whose cookie the browser has. */
  async function stolen(page: Page, target: string): Promise<string[]> {
    return await page.evaluate<string[]>(`(${STEAL})(${JSON.stringify(target)})`);
  }

  test(
    "to a wrong token, without one, under another name, for an old cookie, to other pages",
    async () => {
      await using pool = await AsyncPool.open(1);
      const first = await pool.dashboard();
      const { port } = first;
      const origin = originOf(first);
      const { context, page } = await visit();
      const statusOf = async (url: string) => (await page.goto(url))!.status();
      const isEmpty = async () => (await page.locator("#state").count()) === 0;
      expect(await statusOf(origin)).toBe(401);
      expect(await isEmpty()).toBeTrue();
      expect(await statusOf(`${origin}/?token=wrong`)).toBe(401);
      expect(await isEmpty()).toBeTrue();
      expect(await context.cookies()).toEqual([]);
      const elsewhere = first.url.replace("127.0.0.1", ELSEWHERE);
      expect(await statusOf(elsewhere)).toBe(403);
      expect(await isEmpty()).toBeTrue();

      // From here on the browser has the cookie, and other pages would like to use it.
      expect(await statusOf(first.url)).toBe(200);
      await shows(page, "#state", /^running for /);
      expect(await context.cookies()).toHaveLength(1);
      using other = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: ({ url }) => {
          const body = url.endsWith("/frame")
            ? `<iframe src="${origin}/"></iframe>`
            : "<p>hello</p>";
          return new Response(body, { headers: { "Content-Type": "text/html" } });
        },
      });
      // Of the same site, of another one, and of a name that leads to the dashboard itself.
      for (const host of ["127.0.0.1", "localhost", ELSEWHERE]) {
        await page.goto(`http://${host}:${other.port}/`);
        const target = host === ELSEWHERE ? `http://${host}:${port}` : origin;
        expect(await stolen(page, target)).toEqual([]);
      }
      await page.goto(`http://localhost:${other.port}/frame`);
      expect(await page.frameLocator("iframe").locator("#state").count()).toBe(0);

      // The cookie outlives its dashboard.
      first.stop();
      using _again = await pool.dashboard({ port });
      expect(await context.cookies()).toHaveLength(1);
      expect(await statusOf(origin)).toBe(401);
      expect(await isEmpty()).toBeTrue();
      await context.close();
    },
    START_MS,
  );
});

/** Numbers of 64 workers on four hosts, after a million tasks: more than a test has. */
function largeStats(): PoolStats {
  const times = { count: 1e6, mean: 1, min: 0, max: 5, p50: 1, p90: 2, p99: 3, p999: 4 };
  const workers = Array.from({ length: 64 }, (_, index) => ({
    ...{ index, rank: index + 1, host: `node${17 + (index >> 4)}`, pid: 1_000 + index },
    ...{ state: "busy" as const, done: 1_000_000, failed: 0, busy: 0.9 },
    ...{ bytesIn: 0, bytesOut: 0, memory: 1e8, cpu: 1_000 },
  }));
  return {
    ...{ uptime: 3_600_000, queued: 1_000_000, running: 64, suspended: 0, done: 64_000_000 },
    ...{ failed: 0, cancelled: 0, retried: 0, workersLost: 0, wait: times, run: times, workers },
  };
}

test(
  "64 workers on four hosts, after millions of tasks, by host and on a phone",
  async () => {
    const watch = new Watch();
    watch.open();
    const server = new DashboardServer(watch, largeStats, { port: 0, host: "127.0.0.1" });
    const { context, page, complaints } = await visit(360);
    let bytes = 0;
    let pictures = 0;
    page.on("websocket", (socket) =>
      socket.on("framereceived", ({ payload }) => {
        bytes += payload.length;
        pictures++;
      }),
    );
    await page.goto(server.url);
    await shows(page, "#lanes summary", "node19: 16 workers, 16 at work, 16,000,000 done");
    expect(await page.locator("#lanes details[open] canvas").count()).toBe(4);
    expect(await page.locator("#workers tr.host").allTextContents()).toEqual(
      [17, 18, 19, 20].map((n) => `node${n}`),
    );
    expect(await overflow(page)).toBe(0);
    await page.locator("#lanes summary").first().click();
    expect(await page.locator("#lanes canvas").first().isVisible()).toBeFalse();
    expect(bytes / pictures).toBeLessThan(10_000);
    expect(complaints).toEqual([]);
    server.stop();
    await shows(page, "#state", /^stopped: the program has closed this page/);
    await context.close();
  },
  START_MS,
);
