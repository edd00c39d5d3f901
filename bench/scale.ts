/**
 * How many workers one controller can serve: `bun bench/scale.ts` writes bench/scale.svg, and a table.
 *
 * The real controller and scheduler run against workers and networks that are modelled, in a time that is
 * modelled too (`scale/model.ts`), up to sizes that few have at hand. What the controller's code takes
 * is measured at the start, on the machine this runs on (`scale/costs.ts`); what MPI and the network
 * take are the constants below.
 */
import "./scale/clock.ts";
import { join } from "node:path";
import { callCost, costsOf, mapCosts, turnCost } from "./scale/costs.ts";
import { Model, type Point, type Way } from "./scale/model.ts";
import { plot } from "./scale/plot.ts";
import { lengthName, table } from "./scale/table.ts";
import type { Network } from "./scale/workers.ts";

const WAYS: readonly Way[] = ["calls", "map"];

const WORKERS = [16, 64, 256, 1_000, 4_000, 16_000, 100_000];
const LENGTHS_US = [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/** Where no more of the workers' time is used than this, more workers only make it less: the line ends. */
const HOPELESS = 0.05;

const NETWORKS: readonly Network[] = [
  // A round trip of the C ping-pong in shared memory takes 0.35 to 1.1 µs (bench/RESULTS.md): two
  // messages sent, and two received. An adapter that MPI writes to itself takes the same of the
  // processor, and 1 to 2 µs of way.
  { name: "Fast fabric: 2 µs one way", wayUs: 2, mpiUs: 0.3 },
  // A round trip of the same through the sockets of one machine (--mca btl tcp,self) takes 33 µs, with two
  // system calls on each side; a switch and two adapters add to the way, and not to those.
  { name: "TCP: 30 µs one way", wayUs: 30, mpiUs: 8 },
];

const shared = { callUs: await callCost(), ...(await mapCosts()), turnUs: await turnCost() };
const results = NETWORKS.map((network) => ({ network, points: [] as Point[] }));
const inUs = (us: number): string => `${us.toFixed(us < 0.1 ? 3 : 2)} µs`;
console.log(
  `a call takes ${inUs(shared.callUs)}; a chunk of a map ${inUs(shared.chunkUs)}, and each further ` +
    `item of it ${inUs(shared.itemUs)}; a turn ${inUs(shared.turnUs)}; a message out and one in`,
);
for (const workers of WORKERS) {
  const model = new Model();
  await model.open(workers);
  const costs = await costsOf(model, shared);
  console.log(`  ${inUs(costs.messageUs)} with ${workers} workers, without MPI`);
  for (const { network, points } of results) {
    for (const way of WAYS) {
      for (const lengthUs of LENGTHS_US) {
        const before = points.findLast((point) => point.way === way && point.lengthUs === lengthUs);
        if (before !== undefined && before.efficiency < HOPELESS) continue;
        points.push(await model.run(way, lengthUs, network, costs));
      }
    }
  }
  await model.terminate();
}
for (const { network, points } of results) {
  for (const way of WAYS) console.log(`\n${table(network, way, points)}`);
}
const path = join(import.meta.dir, "scale.svg");
await Bun.write(path, plot(results, LENGTHS_US.map(lengthName)));
console.log(`\n${path}`);
