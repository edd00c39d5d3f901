/** Does the cases of a file with bsync/mpi, as compare.c does them in C: `compare.ts CASES OUT [exact]`. */
import {
  ANY_SOURCE,
  BAND,
  BOR,
  BXOR,
  LAND,
  LOR,
  MAX,
  MIN,
  type MpiArray,
  MpiError,
  type Operation,
  PROD,
  type Status,
  SUM,
  world,
} from "../../mpi.ts";
import { type Case, parsed } from "./cases.ts";

const OPERATIONS: Record<string, Operation> = { SUM, PROD, MIN, MAX, LAND, LOR, BAND, BOR, BXOR };

type ArrayClass = new (length: number) => MpiArray;

const [casesPath = "", outPath = "", exact] = process.argv.slice(2);
const step = exact === undefined ? 0.37 : 0.25;
const { rank, size } = world;

function classOf(type: string): ArrayClass {
  return (globalThis as unknown as Record<string, ArrayClass>)[type]!;
}

/** What this rank sends in that case. */
function filled(type: string, count: number, seed: number): MpiArray {
  const array = new (classOf(type))(count);
  const isSigned = !type.includes("Ui");
  for (let i = 0; i < count; i++) {
    const v = (((seed + rank) * 31 + i * 7) % 13) - (isSigned ? 6 : 0);
    if (type.startsWith("Big")) array[i] = BigInt(v);
    else (array as Float64Array)[i] = type.startsWith("Float") ? v * step : v;
  }
  return array;
}

/** Memory to receive into: what is left of it shows. */
function room(type: string, count: number): MpiArray {
  const array = new (classOf(type))(count);
  new Uint8Array(array.buffer).fill(0xee);
  return array;
}

function hash(array: MpiArray, count = array.length): string {
  const bytes = new Uint8Array(array.buffer, 0, count * array.BYTES_PER_ELEMENT);
  let h = 2166136261;
  for (const byte of bytes) h = Math.imul(h ^ byte, 16777619);
  return (h >>> 0).toString(16).padStart(8, "0");
}

function part(count: number, r: number): number {
  return (count + 3 * r) % 11;
}

/** Parts with a gap of one element between them, given the length of each. */
function spread(lengthOf: (r: number) => number) {
  const counts = Array.from({ length: size }, (_, r) => lengthOf(r));
  let end = 0;
  const places = counts.map((count) => (end += count + 1) - count - 1);
  return { counts, places, length: end };
}

async function run({ number, kind, type, op, count, root }: Case): Promise<string> {
  const send = () => filled(type, count, number);
  const right = (rank + 1) % size;
  const left = (rank + size - 1) % size;
  const isRoot = rank === root;
  const tell = (array: MpiArray | null, { source, tag, count }: Partial<Status> = {}): string =>
    source === undefined
      ? hash(array ?? new Uint8Array(0))
      : `${hash(array!)} ${source} ${tag} ${count}`;
  switch (kind) {
    case "bcast":
      return tell(world.bcast(send(), root));
    case "reduce":
      return tell(world.reduce(send(), isRoot ? room(type, count) : null, OPERATIONS[op]!, root));
    case "allreduce":
      return tell(world.allreduce(send(), room(type, count), OPERATIONS[op]!));
    case "reduce-in-place": {
      const array = send();
      return tell(world.reduce(array, isRoot ? array : null, OPERATIONS[op]!, root));
    }
    case "allreduce-in-place": {
      const array = send();
      return tell(world.allreduce(array, array, OPERATIONS[op]!));
    }
    case "scan":
      return tell(world.scan(send(), OPERATIONS[op]!));
    case "gather":
      return tell(world.gather(send(), root));
    case "scatter":
      return tell(world.scatter(filled(type, count * size, number), room(type, count), root));
    case "allgather":
      return tell(world.allgather(send(), room(type, count * size)));
    case "alltoall":
      return tell(world.alltoall(filled(type, count * size, number)));
    case "gatherv": {
      const { counts, places, length } = spread((r) => part(count, r));
      const sent = filled(type, counts[rank]!, number);
      const into = isRoot ? room(type, length) : null;
      return tell(world.gatherv(sent, into, isRoot ? counts : null, root, places));
    }
    case "scatterv": {
      const { counts, places, length } = spread((r) => part(count, r));
      const sent = isRoot ? filled(type, length, number) : null;
      return tell(world.scatterv(sent, counts, room(type, counts[rank]!), root, places));
    }
    case "allgatherv": {
      const { counts, places, length } = spread((r) => part(count, r));
      const sent = filled(type, counts[rank]!, number);
      return tell(world.allgatherv(sent, room(type, length), counts, places));
    }
    case "alltoallv": {
      const out = spread((r) => part(count + rank, r));
      const back = spread((r) => part(count + r, rank));
      const sent = filled(type, out.length, number);
      const into = room(type, back.length);
      return tell(world.alltoallv(sent, out.counts, into, back.counts, out.places, back.places));
    }
    case "send": {
      const into = room(type, count + 2);
      if (size === 1) return `${hash(send())} alone`;
      if (rank === 0) world.send(send(), right, number % 100);
      const status = world.recv(into);
      if (rank !== 0) world.send(send(), right, number % 100);
      return tell(into, status);
    }
    case "sendrecv": {
      const into = room(type, count + 2);
      const inOrder = number % 2 === 0;
      return tell(
        into,
        inOrder
          ? world.sendrecv(send(), right, 3, into, left, 3)
          : world.sendrecv(send(), right, into, left, 3, 3),
      );
    }
    case "isend": {
      const into = room(type, count + 2);
      const requests = [world.irecv(into, left, 4), world.isend(send(), right, 4)];
      if (number % 2 === 0) return tell(into, (await Promise.all(requests))[0]);
      requests[1]!.wait();
      return tell(into, requests[0]!.wait());
    }
    case "probe": {
      const request = world.isend(send(), right, 6);
      const { source, count: bytes } = world.probe(ANY_SOURCE, 6);
      const into = room(type, 0).constructor as ArrayClass;
      const array = new into(bytes / new into(0).BYTES_PER_ELEMENT);
      const status = world.recv(array, source, 6);
      request.wait();
      return tell(array, status);
    }
    default:
      throw new Error(`there is no kind ${kind}`);
  }
}

const lines: string[] = [];
for (const entry of parsed(await Bun.file(casesPath).text())) {
  let result: string;
  try {
    result = await run(entry);
  } catch (error) {
    if (!(error instanceof MpiError)) throw error;
    result = error.mpiClass === "MPI_ERR_OP" ? "MPI_ERR_OP" : "another error";
  }
  lines.push(`${entry.number} ${result}\n`);
}
await Bun.write(`${outPath}.${rank}`, lines.join(""));
