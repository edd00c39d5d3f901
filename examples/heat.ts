/**
 * The heat equation in two dimensions, and its pictures. Some ranks serve a pool, which renders
 * frames to PNG; among the others, the unused ones, the domain is split into bands of rows, whose
 * edges they exchange by bsync/mpi. Without a launcher one process does the sums, and its pool the
 * pictures.
 *
 *   bun run examples/heat.ts 256 400 frames
 *   mpirun -n 6 bun run examples/heat.ts 256 400 frames
 *
 * The field is the same in either way, to the last bit.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AsyncPool, getSize, usingMpi } from "../index.ts";
import { type Communicator, PROC_NULL, world } from "../mpi.ts";
import { encodePng } from "./png.ts";

const FRAMES = 8;
const MAX_SIDE = 4096;
const MAX_STEPS = 1_000_000;
/** Of the difference to its neighbours a cell takes so much in one step; stable up to a quarter. */
const FLOW = 0.2;

const FRAME = 1;
const RESULT = 2;

/** Degrees at the beginning: two hot spots on a cold plate. */
function initial(side: number, x: number, y: number): number {
  const spot = (cx: number, cy: number, radius: number): boolean =>
    (x / side - cx) ** 2 + (y / side - cy) ** 2 < radius ** 2;
  return spot(0.3, 0.35, 0.15) || spot(0.7, 0.65, 0.08) ? 100 : 0;
}

/** A band of rows, with one more above and below: its neighbours' edges, or the cold rim. */
export class Band {
  readonly side: number;
  readonly rows: number;
  #cells: Float64Array;
  #next: Float64Array;

  constructor(side: number, top: number, rows: number) {
    this.side = side;
    this.rows = rows;
    this.#cells = new Float64Array(side * (rows + 2));
    this.#next = new Float64Array(side * (rows + 2));
    for (let y = 0; y < rows; y++) {
      for (let x = 1; x < side - 1; x++) {
        this.#cells[(y + 1) * side + x] = initial(side, x, top + y);
      }
    }
  }

  /** Row -1 is the one above the band, `rows` the one below. */
  row(y: number): Float64Array {
    return this.#cells.subarray((y + 1) * this.side, (y + 2) * this.side);
  }

  /** Its own rows. */
  get cells(): Float64Array {
    return this.#cells.subarray(this.side, (this.rows + 1) * this.side);
  }

  step(): void {
    const { side, rows } = this;
    const from = this.#cells;
    const to = this.#next;
    for (let y = 1; y <= rows; y++) {
      for (let at = y * side + 1; at < (y + 1) * side - 1; at++) {
        const here = from[at]!;
        const around = from[at - side]! + from[at + side]! + from[at - 1]! + from[at + 1]!;
        to[at] = here + FLOW * (around - 4 * here);
      }
    }
    this.#cells = to;
    this.#next = from;
  }
}

/** The sum of each row: to add those in their order gives one result, whoever had which rows. */
function rowSums(side: number, field: Float64Array): Float64Array {
  const sums = new Float64Array(field.length / side);
  for (let at = 0; at < field.length; at++) sums[Math.floor(at / side)]! += field[at]!;
  return sums;
}

/** A frame as PNG: black, red, yellow, white. */
export async function render(side: number, field: Float64Array): Promise<Uint8Array> {
  const rgba = new Uint8Array(4 * side * side);
  field.forEach((degrees, i) => {
    const heat = (3 * Math.min(Math.max(degrees, 0), 100)) / 100;
    const level = (part: number): number => Math.round(255 * Math.min(Math.max(heat - part, 0), 1));
    rgba.set([level(0), level(1), level(2), 255], 4 * i);
  });
  return await encodePng(side, side, rgba);
}

/** After which steps there is a frame. */
function isFrame(step: number, steps: number): boolean {
  return Math.floor((step * FRAMES) / steps) > Math.floor(((step - 1) * FRAMES) / steps);
}

/** Steps the whole domain, on `comm` or alone; `show` is called with the field on its rank 0. */
async function solve(
  side: number,
  steps: number,
  comm: Communicator | null,
  show: (field: Float64Array) => Promise<void>,
): Promise<{ field: Float64Array; total: number } | null> {
  const rank = comm?.rank ?? 0;
  const size = comm?.size ?? 1;
  const edges = Array.from({ length: size + 1 }, (_, i) => Math.floor((side * i) / size));
  const counts = Array.from({ length: size }, (_, i) => side * (edges[i + 1]! - edges[i]!));
  const band = new Band(side, edges[rank]!, edges[rank + 1]! - edges[rank]!);
  const above = rank === 0 ? PROC_NULL : rank - 1;
  const below = rank === size - 1 ? PROC_NULL : rank + 1;
  const whole = (): Float64Array | null =>
    comm === null ? band.cells.slice() : comm.gatherv(band.cells, null, counts);

  for (let step = 1; step <= steps; step++) {
    comm?.sendrecv(band.row(0), above, band.row(band.rows), below);
    comm?.sendrecv(band.row(band.rows - 1), below, band.row(-1), above);
    band.step();
    const field = isFrame(step, steps) ? whole() : null;
    if (field !== null) await show(field);
  }

  const field = whole();
  const sums = rowSums(side, band.cells);
  const rows = counts.map((count) => count / side);
  const all = comm === null ? sums : comm.gatherv(sums, null, rows);
  if (field === null || all === null) return null;
  return { field, total: all.reduce((total, sum) => total + sum, 0) };
}

/** Which ranks render: a third of those there are beside the controller, and one at least. */
function renderers(ranks: number): number[] {
  return Array.from({ length: Math.max(1, Math.floor((ranks - 1) / 3)) }, (_, i) => i + 1);
}

async function main(side: number, steps: number, folder: string): Promise<void> {
  const inJob = usingMpi();
  const painters = inJob ? renderers(getSize()) : 2;
  if (inJob && getSize() < 3) throw new RangeError("heat.ts takes three ranks: mpirun -n 3 …");
  await using pool = await AsyncPool.open(painters, { keepUnused: true });
  // From here on: the controller, and the unused ranks.
  const wrong = ![side, steps].every((n) => Number.isInteger(n) && n > 0);
  if (wrong || side > MAX_SIDE || steps > MAX_STEPS || side < getSize()) {
    if (pool.role === "unused") return;
    console.error("usage: bun run examples/heat.ts [side [steps [folder]]]");
    console.error(`       side: cells, 1 to ${MAX_SIDE}; steps: 1 to ${MAX_STEPS}`);
    process.exitCode = 2;
    return;
  }
  const solvers = inJob
    ? Array.from({ length: getSize() }, (_, rank) => rank).slice(1 + (painters as number[]).length)
    : [];

  if (pool.role === "unused") {
    const comm = world.group(solvers);
    const result = await solve(side, steps, comm, async (field) => {
      await world.isend(field, 0, FRAME);
    });
    if (result !== null) {
      world.send(result.field, 0, FRAME);
      world.send(Float64Array.of(result.total), 0, RESULT);
    }
    return;
  }

  await mkdir(folder, { recursive: true });
  const start = performance.now();
  const pictures: Promise<unknown>[] = [];
  const show = async (field: Float64Array): Promise<void> => {
    const path = join(folder, `heat-${String(pictures.length + 1).padStart(3, "0")}.png`);
    const picture = pool.async(render, side, field);
    pictures.push(picture.get().then((bytes) => Bun.write(path, bytes)));
  };
  const { field, total } = inJob
    ? await watch(side, steps, solvers[0]!, show)
    : (await solve(side, steps, null, show))!;
  await Promise.all(pictures);
  const seconds = (performance.now() - start) / 1000;

  const bands = `${Math.max(solvers.length, 1)} band(s)`;
  console.log(`${folder}: ${side} x ${side}, ${steps} steps in ${bands}`);
  console.log(`${pictures.length} frames by ${pool.size} worker(s), ${seconds.toFixed(3)} s`);
  console.log(`heat ${total}, field ${Bun.hash(field).toString(16)}`);
}

/** On the controller: takes what the first of the unused ranks sends, while the pool renders. */
async function watch(
  side: number,
  steps: number,
  source: number,
  show: (field: Float64Array) => Promise<void>,
): Promise<{ field: Float64Array; total: number }> {
  const next = async (): Promise<Float64Array> => {
    const field = new Float64Array(side * side);
    await world.irecv(field, source, FRAME);
    return field;
  };
  for (let step = 1; step <= steps; step++) if (isFrame(step, steps)) await show(await next());
  const field = await next();
  const total = new Float64Array(1);
  await world.irecv(total, source, RESULT);
  return { field, total: total[0]! };
}

if (import.meta.main) {
  const [side = "256", steps = "400", folder = "frames"] = process.argv.slice(2);
  await main(Number(side), Number(steps), folder);
}
