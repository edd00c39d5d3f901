/**
 * Bun's own IPC to a process that sends everything back: `ipc.ts`; as `ipc.ts 3` the first message
 * after a silence, in that slot (`silence.ts`); as `ipc.ts pace PHASES` after each (`paces.ts`).
 */
import { callsAfterSilences, phasesOf } from "../programs/paces.ts";
import { bandwidth, quantile, report, roundTrips } from "../programs/report.ts";
import { afterSilence } from "../programs/silence.ts";

let answer: (message: unknown) => void = () => {};
const child = Bun.spawn([process.execPath, "--no-orphans", `${import.meta.dir}/echo.ts`], {
  stdio: ["ignore", "ignore", "inherit"],
  serialization: "advanced",
  ipc: (message: unknown) => answer(message),
});

function trip<T>(message: T): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  // The child sends back what it was sent.
  answer = (back) => resolve(back as T);
  child.send(message);
  return promise;
}

const slot = process.argv[2];
if (slot === undefined) {
  const times = await roundTrips(trip, { warm: 1000, calls: 3000 });
  report({
    us: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    gbps: await bandwidth(trip, 1),
  });
} else if (slot === "pace") {
  report(await callsAfterSilences(trip, phasesOf(process.argv[3])));
} else {
  report({ us: await afterSilence(trip, Number(slot)) });
}
child.kill();
