/**
 * Pi by throwing darts: after the Monte-Carlo that every introduction to Python's multiprocessing
 * has.
 *
 *   bun run examples/ports/monte-carlo.ts 1e8
 *   mpirun -n 4 bun run examples/ports/monte-carlo.ts 1e8
 *
 * What it was in Python, and what became of it:
 *
 *   if __name__ == "__main__":                 nothing: code below `open` runs once
 *   with Pool() as pool:                       await using pool = await AsyncPool.open()
 *   pool.map(throw, [n // cores] * cores)      pool.map(hits, games): a hundred, whatever the cores
 *   random.random(), seeded by the clock       a random stream of its own for each game: the same pi
 *                                              at each run, on any number of workers
 */
import { AsyncPool } from "../../index.ts";
import { generator } from "../random.ts";

const GAMES = 100;

interface Game {
  readonly stream: number;
  readonly darts: number;
}

/** How many darts hit the quarter of a disc in its square. */
function hits({ stream, darts }: Game): number {
  const random = generator(1, stream);
  let inside = 0;
  for (let i = 0; i < darts; i++) {
    if (random() ** 2 + random() ** 2 < 1) inside++;
  }
  return inside;
}

await using pool = await AsyncPool.open();
const darts = Math.ceil(Number(process.argv[2] ?? 1e7) / GAMES);
const games = Array.from({ length: GAMES }, (_, stream) => ({ stream, darts }));
const counts = await pool.map(hits, games);
const inside = counts.reduce((sum, count) => sum + count, 0);
console.log(`pi is about ${((4 * inside) / (darts * GAMES)).toFixed(6)}`);
