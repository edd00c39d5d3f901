/**
 * A core kept busy by the same task without a pool around it. Told `[steps, ms]` over IPC, it works
 * for so long and answers with the tasks that it did per second.
 */
import { toil } from "../programs/work.ts";

process.on("message", ([steps, ms]: [number, number]) => {
  const start = performance.now();
  let done = 0;
  let spent = 0;
  for (; spent < ms; spent = performance.now() - start) {
    toil(steps);
    done++;
  }
  process.send!((done / spent) * 1e3);
});
