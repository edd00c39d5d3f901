/**
 * Loads the binding at the path it is given, and prints the version of its interface: in a process
 * of its own, since what is wrong with a library may end whoever loads it.
 */
import { open, versionOfShim } from "../../mpi/shim/symbols.ts";

const path = process.argv[2]!;
const abi = versionOfShim(path);
console.log(abi);
open(path);
