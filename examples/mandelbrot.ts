/**
 * The Mandelbrot set as a PNG. A task is a band of rows and returns its pixels; the bands differ
 * widely in cost, and whoever is free takes the next one.
 *
 *   bun run examples/mandelbrot.ts 1200 800 mandelbrot.png
 *   mpirun -n 4 bun run examples/mandelbrot.ts 1200 800 mandelbrot.png
 */
import { AsyncPool } from "../index.ts";
import { encodePng } from "./png.ts";

const BAND_ROWS = 16;
const MAX_SIDE = 20_000;
const MAX_STEPS = 1000;

/** The part of the plane to show: its middle, and how far up and down from there. */
const CENTRE = { re: -0.65, im: 0 };
const RADIUS = 1.2;

/** The RGBA pixels of `rows` rows from row `top` on, of a picture of `width` by `height`. */
export function band(width: number, height: number, top: number, rows: number): Uint8Array {
  const pixels = new Uint8Array(4 * width * rows);
  const step = (2 * RADIUS) / height;
  let at = 0;
  for (let y = top; y < top + rows; y++) {
    const im = CENTRE.im + (y + 0.5 - height / 2) * step;
    for (let x = 0; x < width; x++) {
      const colour = paint(escape(CENTRE.re + (x + 0.5 - width / 2) * step, im));
      pixels.set(colour, at);
      at += 4;
    }
  }
  return pixels;
}

/** Steps until z = z^2 + c leaves the plane's middle, with a smooth fraction; Infinity if never. */
function escape(re: number, im: number): number {
  let x = 0;
  let y = 0;
  for (let n = 0; n < MAX_STEPS; n++) {
    const xx = x * x;
    const yy = y * y;
    // Far outside, the fraction no longer shows the borders between whole numbers of steps.
    if (xx + yy > 256) return n + 1 - Math.log2(Math.log2(xx + yy) / 2);
    y = 2 * x * y + im;
    x = xx - yy + re;
  }
  return Infinity;
}

function paint(steps: number): [red: number, green: number, blue: number, alpha: number] {
  if (steps === Infinity) return [0, 0, 0, 255];
  const phase = 1.6 * Math.log2(Math.max(steps, 1.5)) - 0.9;
  const wave = (lead: number): number => 127.5 - 127.5 * Math.cos(phase + lead);
  return [wave(-0.5), wave(0), wave(0.7), 255];
}

async function main(width: number, height: number, path = "mandelbrot.png"): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (![width, height].every((side) => Number.isInteger(side) && side > 0 && side <= MAX_SIDE)) {
    console.error("usage: bun run examples/mandelbrot.ts [width [height [picture.png]]]");
    console.error(`       width and height: pixels, 1 to ${MAX_SIDE}`);
    process.exitCode = 2;
    return;
  }

  const start = performance.now();
  const bands = [];
  for (let top = 0; top < height; top += BAND_ROWS) {
    bands.push(pool.async(band, width, height, top, Math.min(BAND_ROWS, height - top)));
  }
  const pixels = await Promise.all(bands);
  const seconds = (performance.now() - start) / 1000;

  await Bun.write(path, await encodePng(width, height, Buffer.concat(pixels)));
  console.log(`${path}: ${width} x ${height}, ${bands.length} bands on ${pool.size} workers`);
  console.log(`${seconds.toFixed(3)} s`);
}

if (import.meta.main) {
  const [width = "1200", height = "800", path] = process.argv.slice(2);
  await main(Number(width), Number(height), path);
}
