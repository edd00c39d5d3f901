/**
 * A Julia set, a task for each line of the picture: after a demo of mpi4py.futures.
 *
 *   bun run examples/ports/julia.ts 1280 960 julia.pgm
 *   mpirun -n 4 bun run examples/ports/julia.ts 1280 960 julia.pgm
 *
 * What it was in Python, and what became of it:
 *
 *   with MPICommExecutor() as executor:        await using pool = await AsyncPool.open()
 *   if executor is not None:                   nothing: `open` resolves on rank 0 only
 *   executor.map(line, rows, chunksize=10)     pool.map(line, rows): chunks are found by themselves
 *   width and height, globals of the module    arguments, as a script's own are not known to others
 *   z = z**2 + c, of complex numbers           two numbers: the language has no complex ones
 */
import { AsyncPool } from "../../index.ts";

const C = { re: 0, im: 0.65 };
const MAX_STEPS = 255;

interface Row {
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The grey levels of a line: how many steps each point takes to leave the middle of the plane. */
function line({ y, width, height }: Row): Uint8Array {
  const im = 1.5 - (3 * y) / height;
  return Uint8Array.from({ length: width }, (_, x) => steps((4 * x) / width - 2, im));
}

function steps(re: number, im: number): number {
  let left = MAX_STEPS;
  while (re * re + im * im < 9 && left > 1) {
    [re, im] = [re * re - im * im + C.re, 2 * re * im + C.im];
    left--;
  }
  return left;
}

await using pool = await AsyncPool.open();
const [width = 640, height = 480] = process.argv.slice(2, 4).map(Number);
const path = process.argv[4] ?? "julia.pgm";

const start = performance.now();
const rows = Array.from({ length: height }, (_, y) => ({ y, width, height }));
const lines = await pool.map(line, rows);
const seconds = (performance.now() - start) / 1000;
await Bun.write(path, Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`), ...lines]));
console.log(`${path}: ${width} x ${height} in ${seconds.toFixed(3)} s`);
