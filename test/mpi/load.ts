/** Loads the shim as a rank would, without MPI's launcher: `load.ts <deed> <family> [folder]`. */
import { Cache, publish } from "../../src/mpi/shim/cache.ts";
import { findCompiler } from "../../src/mpi/shim/find-mpicc.ts";
import type { Family } from "../../src/mpi/launcher/launcher.ts";
import { exclusively } from "../../src/mpi/shim/lock.ts";
import { loadShim } from "../../src/mpi/shim/load.ts";
import { findHeaders, loadTiny } from "../../src/mpi/shim/tinycc.ts";

const [deed, name, place = ""] = process.argv.slice(2);
const family = name as Family;

/** What a rank prints of a shim it loaded: that its functions answer, too. */
function tell(shim: ReturnType<typeof loadShim>): void {
  const fresh = shim.symbols.bsync_mpi_test(1);
  console.log(JSON.stringify({ family: shim.family, origin: shim.origin, fresh }));
}

switch (deed) {
  case "load":
    try {
      tell(loadShim({ family, name: "the launcher", rank: 0, size: 1 }, process.env));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
    break;
  case "tiny":
    tell(loadTiny(findHeaders(family)!));
    break;
  case "find": {
    const begin = performance.now();
    const { compiler } = findCompiler(family, process.env, new Cache(process.env));
    console.log(JSON.stringify({ path: compiler?.path, ms: performance.now() - begin }));
    break;
  }
  case "publish":
    publish(name!, place);
    break;
  case "die":
    exclusively(
      place,
      () => undefined,
      () => process.kill(process.pid, "SIGKILL"),
    );
}
