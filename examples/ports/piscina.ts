/**
 * The sum of two numbers: after the first example of piscina.
 *
 *   bun run examples/ports/piscina.ts 4 6
 *   mpirun -n 4 bun run examples/ports/piscina.ts 4 6
 *
 * What it was in Node, and what became of it:
 *
 *   worker.js, with one exported function      a function of this file, or of any module
 *   new Piscina({ filename: … })               await using pool = await AsyncPool.open()
 *   await piscina.run({ a, b })                await pool.async(add, { a, b }): typed, and with as
 *                                              many arguments as the function has
 *   { name: "multiply" } for a second one      pool.async(multiply, { a, b })
 *   threads, with a port and transfer lists    processes, or ranks on any number of hosts
 */
import { AsyncPool } from "../../index.ts";

interface Pair {
  readonly a: number;
  readonly b: number;
}

function add({ a, b }: Pair): number {
  return a + b;
}

function multiply({ a, b }: Pair): number {
  return a * b;
}

await using pool = await AsyncPool.open();
const [a = 4, b = 6] = process.argv.slice(2).map(Number);
console.log(`${a} + ${b} = ${await pool.async(add, { a, b })}`);
console.log(`${a} * ${b} = ${await pool.async(multiply, { a, b })}`);
