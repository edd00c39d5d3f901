/** Programs of this folder that are given a mode: under mpirun they start themselves once more. */
import { usingMpi } from "../../index.ts";
import { AS_ROOT, FAMILIES, mpirunCommand } from "../mpi/launch.ts";

/** Ranks of a job. */
const RANKS = 4;

/**
 * Returns where the program runs in `mode` already; else runs it so, and ends as it did. Only where it
 * is the main program: on a worker it is loaded for its functions.
 */
export async function launched(mode: string, script: string): Promise<void> {
  if (usingMpi() || mode === "local" || Bun.main !== script) return;
  const family = FAMILIES.find((name) => name === mode);
  if (family === undefined) {
    console.error(`no such mode: ${mode}; there are local, ${FAMILIES.join(", ")}`);
    process.exit(2);
  }
  const command = [...mpirunCommand(family, RANKS, script), ...process.argv.slice(2)];
  const child = Bun.spawn(command, {
    env: { ...process.env, ...AS_ROOT },
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exit(await child.exited);
}
