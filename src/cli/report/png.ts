/** Draws an SVG: by a library that is loaded here, and that a program needs for nothing else. */
import { join } from "node:path";

/** It brings no font, and a machine that computes may have none. */
const FONTS = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((name) =>
  join(import.meta.dir, "font", name),
);

const DRAWER = "@resvg/resvg-wasm";

/** Points of a picture for each of the page. */
const ZOOM = 1.5;

/** There is nothing here that draws. */
export class NoDrawer extends Error {}

let isReady = false;

/** `svg` as a PNG file. */
export async function pngOf(svg: string): Promise<Uint8Array> {
  const { initWasm, Resvg } = (await import(find(DRAWER))) as typeof import("@resvg/resvg-wasm");
  if (!isReady) await initWasm(await Bun.file(find(`${DRAWER}/index_bg.wasm`)).arrayBuffer());
  isReady = true;
  const fontBuffers = await Promise.all(FONTS.map((path) => Bun.file(path).bytes()));
  const font = { fontBuffers, defaultFontFamily: "DejaVu Sans", sansSerifFamily: "DejaVu Sans" };
  const drawing = new Resvg(svg, { font, fitTo: { mode: "zoom", value: ZOOM } });
  return drawing.render().asPng();
}

/** Beside bsync, or where the program is: `bunx` keeps bsync elsewhere. */
function find(name: string): string {
  for (const folder of [import.meta.dir, process.cwd()]) {
    try {
      return Bun.resolveSync(name, folder);
    } catch {
      // It may be in the other one.
    }
  }
  throw new NoDrawer(`there is no ${DRAWER}, which draws it; add it: bun add ${DRAWER}`);
}
