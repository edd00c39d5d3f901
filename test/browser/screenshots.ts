/**
 * Makes the pictures of the live page that the documents show: `bun run screenshots [FOLDER]`, `docs/images` where
 * no folder is named. It takes a minute, which is how much of the past the page shows.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launchChromium } from "../setup/chromium.ts";
import { openDemo } from "./demo.ts";

const SECONDS = 55;
const VIEWPORT = { width: 1120, height: 1180 };

const folder = process.argv[2] ?? join(import.meta.dir, "..", "..", "docs", "images");
await mkdir(folder, { recursive: true });
const { pool, dashboard } = await openDemo();
const browser = await launchChromium();
const page = await browser.newPage({ viewport: VIEWPORT });
await page.goto(dashboard.url);
await Bun.sleep(1000 * SECONDS);
await page.locator("#failures summary").first().click();
await page.locator("#hold").click();
await page.locator("h1").click();
for (const colorScheme of ["light", "dark"] as const) {
  await page.emulateMedia({ colorScheme });
  const path = join(folder, `dashboard-${colorScheme}.png`);
  await page.screenshot({ path });
  console.log(`${path}: ${Math.round(Bun.file(path).size / 1000)} kB`);
}
await browser.close();
await pool.terminate();
