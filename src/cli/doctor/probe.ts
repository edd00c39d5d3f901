/**
 * Loads the binding at the given path, and prints the version of its interface. It runs in its own
 * process: a faulty library may end the process that loads it.
 */
import { open, versionOfShim } from "../../mpi/shim/symbols.ts";

const path = process.argv[2]!;
const abi = versionOfShim(path);
console.log(abi);
open(path);
