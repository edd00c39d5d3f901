/**
 * `truncated.ts <short> <long> <type>`: one message after the other that is longer than its array, in
 * every receive and every collective. The last rank has the short array. Prints what each rank found, as
 * JSON: the class of the error, and whether anything lies where no array is.
 */
import { ANY_SOURCE, type Communicator, MpiError, SUM, world } from "../../mpi.ts";

type Numbers = Uint8Array | Float64Array;

const { rank, size } = world;
const short = Number(process.argv[2]);
const long = Number(process.argv[3]);
const Type = process.argv[4] === "Float64Array" ? Float64Array : Uint8Array;
const only = process.argv.slice(5);

const last = size - 1;
const isLast = rank === last;
const own = isLast ? short : long;

/** Elements on either side of an array that is received into. */
const AROUND = 100_000;
let room: Numbers = new Type(0);
let whole: Numbers = room;

/** An array to receive into, amid others. */
function into(length: number): Numbers {
  whole = new Type(AROUND + length + AROUND);
  room = whole.subarray(AROUND, AROUND + length);
  return room;
}

function sent(length: number): Numbers {
  return new Type(length).fill(65);
}

function each(count: number): number[] {
  return Array.from({ length: size }, () => count);
}

/** From rank 0 to the last one. */
function between(comm: Communicator, receive: () => unknown): void {
  const request = rank === 0 ? comm.isend(sent(long), last, 5) : null;
  try {
    if (isLast) receive();
  } finally {
    request?.wait();
  }
}

function toItself(comm: Communicator, receive: (send: () => void) => unknown): void {
  let request = null as ReturnType<Communicator["isend"]> | null;
  try {
    if (isLast) receive(() => (request = comm.isend(sent(long), rank, 5)));
  } finally {
    request?.wait();
  }
}

const MESSAGES: Record<string, (comm: Communicator) => unknown> = {
  recv: (comm) => between(comm, () => comm.recv(into(short), 0, 5)),
  "recv of any": (comm) => between(comm, () => comm.recv(into(short), ANY_SOURCE)),
  sendrecv: (comm) => between(comm, () => comm.sendrecv(sent(1), rank, into(short), 0, 7, 5)),
  irecv: (comm) => between(comm, () => comm.irecv(into(short), 0, 5).wait()),
  "irecv, tested": (comm) =>
    between(comm, () => {
      const request = comm.irecv(into(short), ANY_SOURCE);
      while (!request.test());
    }),
  "irecv of what has come": (comm) =>
    between(comm, () => {
      comm.probe(0, 5);
      comm.irecv(into(short), 0, 5).wait();
    }),
  "irecv before a barrier": (comm) => {
    const request = isLast ? comm.irecv(into(short), 0, 5) : null;
    comm.barrier();
    between(comm, () => request!.wait());
  },
  "irecv behind one that waits": (comm) => {
    const other = isLast ? comm.irecv(new Uint8Array(50_000), 0, 6) : null;
    const request = isLast ? comm.irecv(into(short), 0, 5) : null;
    comm.barrier();
    between(comm, () => {
      try {
        request!.wait();
      } finally {
        other!.cancel();
      }
    });
  },
  "irecv, given up too late": (comm) => {
    const request = isLast ? comm.irecv(into(short), 0, 5) : null;
    const then = rank === 0 ? comm.isend(sent(long), last, 5) : null;
    if (rank === 0) comm.send(new Uint8Array(1), last, 6);
    try {
      if (isLast) {
        comm.recv(new Uint8Array(1), 0, 6);
        if (request!.cancel()) throw new Error("it had come");
        request!.wait();
      }
    } finally {
      then?.wait();
    }
  },
  "recv of its own": (comm) =>
    toItself(comm, (send) => {
      send();
      comm.recv(into(short), rank, 5);
    }),
  "irecv of its own": (comm) =>
    toItself(comm, (send) => {
      const request = comm.irecv(into(short), rank, 5);
      send();
      request.wait();
    }),
};

const COLLECTIVES: Record<string, (comm: Communicator) => unknown> = {
  bcast: (comm) => comm.bcast(rank === 0 ? sent(long) : into(own)),
  scatter: (comm) => comm.scatter(rank === 0 ? sent(long * size) : null, into(own)),
  scatterv: (comm) =>
    comm.scatterv(rank === 0 ? sent(long * size) : null, rank === 0 ? each(long) : null, into(own)),
  gather: (comm) => comm.gather(sent(own), isLast ? into(short * size) : null, last),
  gatherv: (comm) =>
    comm.gatherv(sent(own), isLast ? into(short * size) : null, isLast ? each(short) : null, last),
  allgather: (comm) => comm.allgather(sent(own), into(own * size)),
  allgatherv: (comm) => {
    // What the last one expects of the others is less than they send.
    const counts = each(isLast ? short : long);
    counts[last] = short;
    return comm.allgatherv(sent(own), into(counts.reduce((a, b) => a + b)), counts);
  },
  alltoall: (comm) => comm.alltoall(sent(own * size), into(own * size)),
  alltoallv: (comm) => comm.alltoallv(sent(own * size), each(own), into(own * size), each(own)),
  reduce: (comm) => comm.reduce(sent(own), isLast ? into(own) : null, SUM, last),
  allreduce: (comm) => comm.allreduce(sent(own), into(own), SUM),
  "allreduce in place": (comm) => {
    const both = into(own);
    return comm.allreduce(both, both, SUM);
  },
  scan: (comm) => comm.scan(sent(own), into(own), SUM),
};

/** The class of what `deed` throws, or null. */
function thrown(deed: () => unknown): string | null {
  try {
    deed();
  } catch (error) {
    return error instanceof MpiError ? error.mpiClass : String(error);
  }
  return null;
}

/** Whether anything was written beside the array. */
function isBeyond(): boolean {
  const before = whole.subarray(0, AROUND);
  const behind = whole.subarray(AROUND + room.length);
  return before.some((x) => x !== 0) || behind.some((x) => x !== 0);
}

/** Whether the ranks go on together, and what they say is what they hear. */
function goesOn(comm: Communicator): boolean {
  const sum = comm.allreduce(Float64Array.of(rank))[0];
  const large = comm.allgather(new Uint8Array(9000).fill(rank + 1));
  const root = comm.bcast(new Uint8Array(70_000).fill(rank + 1), last);
  return (
    sum === (size * (size - 1)) / 2 &&
    large.every((x, i) => x === Math.floor(i / 9000) + 1) &&
    root.every((x) => x === size)
  );
}

const found: Record<string, unknown> = {};
for (const [name, deed] of Object.entries({ ...MESSAGES, ...COLLECTIVES })) {
  if (only.length > 0 && !only.includes(name)) continue;
  const comm = world.dup();
  into(0);
  const error = thrown(() => deed(comm));
  // MPI promises nothing of a communicator after an error on it; ours says more under Open MPI.
  const isWhole = name in MESSAGES || process.env.OMPI_COMM_WORLD_SIZE ? goesOn(comm) : true;
  found[name] = [error, isBeyond(), isWhole];
}
const all = world.gatherObject(found);
if (all !== null) console.log(JSON.stringify({ messages: Object.keys(MESSAGES), all }));
