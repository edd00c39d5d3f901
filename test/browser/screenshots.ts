/**
 * Makes the pictures of the live page that the documents show: `bun run screenshots [FOLDER]`, `docs/images` where
 * no folder is named. It takes a minute, which is how much of the past the page shows.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launchChromium } from "../setup/chromium.ts";
import { openDemo } from "./demo.ts";

const SECONDS = 58;
const VIEWPORT = { width: 1000, height: 800 };
const ROOT = join(import.meta.dir, "..", "..");
/** Of no interest to others: where this folder is. */
const SHORTEN = `for (const { firstChild } of document.querySelectorAll("#failures pre"))
  firstChild.data = firstChild.data.replaceAll(${JSON.stringify(ROOT)}, "…");`;

const folder = process.argv[2] ?? join(ROOT, "docs", "images");
await mkdir(folder, { recursive: true });
const { pool, dashboard } = await openDemo();
const browser = await launchChromium();
const page = await browser.newPage({ viewport: VIEWPORT });
await page.goto(dashboard.url);
await Bun.sleep(1000 * SECONDS);
await page.locator("#failures summary").first().click();
await page.locator("#hold").click();
await page.locator("h1").click();
await page.evaluate(SHORTEN);
for (const colorScheme of ["light", "dark"] as const) {
  await page.emulateMedia({ colorScheme });
  const path = join(folder, `dashboard-${colorScheme}.png`);
  await page.screenshot({ path, fullPage: true });
  console.log(`${path}: ${Math.round(Bun.file(path).size / 1000)} kB`);
}
await browser.close();
await pool.terminate();
