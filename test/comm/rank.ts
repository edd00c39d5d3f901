/** What the ranks of the tests run: `rank.ts <deed>`. Rank 0 prints what all of them found, as JSON. */
import {
  ANY_SOURCE,
  ANY_TAG,
  type Communicator,
  LAND,
  MAX,
  MpiError,
  PROC_NULL,
  Request,
  type Status,
  SUM,
  world,
} from "../../mpi.ts";
import { CancelledError, ValueError } from "../../index.ts";

const { rank, size } = world;
const right = (rank + 1) % size;
const left = (rank + size - 1) % size;

function failure(deed: () => unknown): unknown {
  try {
    deed();
  } catch (error) {
    return told(error);
  }
  return "nothing was thrown";
}

function told(error: unknown): unknown {
  if (error instanceof MpiError) {
    const { mpiClass, mpiText, mpiCode, message } = error;
    if (mpiCode <= 0 || mpiText === "" || !/: MPI_ERR_\w+: [^\n]+$/.test(message))
      return `not whole: ${message}`;
    return `${mpiClass}: ${message.split(/ on world/)[0]}`;
  }
  return error instanceof Error ? `${error.name}: ${error.message}` : error;
}

class Odd extends Error {
  override name = "Odd";
  readonly extra = 5;
}

/** Everything that a value may be. */
function objects(): unknown {
  const big = new Uint8Array(200_000).fill(rank);
  const shared = { rank };
  const value = { map: new Map([[shared, -0]]), again: shared, big, at: new Date(0) };
  const found: unknown[] = [];
  world.sendrecvObject(value, right, left) satisfies unknown;
  const got = world.sendrecvObject<typeof value>(value, right, left);
  const [[key, zero] = [{ rank: -1 }, 0]] = [...got.map];
  found.push(key === got.again, Object.is(zero, -0), key.rank === left, got.big[199_999] === left);
  const from: Partial<Status> = {};
  const request = world.isendObject(new Odd("mine"), right, 4);
  const error = world.recvObject<Odd>(ANY_SOURCE, 4, from);
  request.wait();
  found.push(error.name, error.extra, from.source === left, from.tag);
  found.push(world.bcastObject(rank === 1 % size ? [1n, "two"] : null, 1 % size));
  found.push(world.gatherObject({ rank }, size - 1));
  found.push(world.allgatherObject(rank % 2 === 0 ? undefined : new Set([rank])));
  found.push(
    world.scatterObject(rank === 0 ? Array.from({ length: size }, (_, i) => `to ${i}`) : null),
  );
  found.push(world.alltoallObject(Array.from({ length: size }, (_, i) => ({ from: rank, to: i }))));
  found.push(world.reduceObject(`${rank}`, (a, b) => a + b));
  found.push(world.allreduceObject(BigInt(rank), MAX), world.allreduceObject(rank, SUM));
  found.push(
    world.scanObject([rank], (a, b) => [...a, ...b]),
    world.allreduceObject(rank, LAND),
  );
  return found.map((value) => (typeof value === "bigint" ? `${value}n` : value)).map(plain);
}

/** What JSON does not know. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, v) =>
      typeof v === "bigint" ? `${v}n` : v instanceof Set ? [...v] : v === undefined ? "none" : v,
    ) ?? '"none"',
  );
}

/** One rank has a value that cannot travel: every rank hears of it, and goes on. */
function unsendable(): unknown {
  const bad = { socket: { write: () => {} } };
  const mine = rank === 1 ? bad : { socket: null };
  const list = Array.from({ length: size }, () => mine);
  const named = (deed: () => unknown): unknown => {
    const error = failureOf(deed);
    return error instanceof ValueError && /value.socket.write|rank 1/.test(error.message);
  };
  const found = [
    named(() => world.bcastObject(mine, 1)),
    named(() => world.gatherObject(mine)),
    named(() => world.allgatherObject(mine)),
    named(() => world.scatterObject(list, 1)),
    named(() => world.alltoallObject(list)),
    named(() => world.allreduceObject(mine, (a) => a)),
  ];
  world.barrier();
  return found;
}

/** One rank has a list that is too short, or none: every rank hears of it, and goes on. */
function misfits(): unknown {
  const whole = Array.from({ length: size }, () => rank);
  const found: unknown[] = [];
  for (const wrong of [[1], [...whole, 1], null, undefined, "abc"]) {
    const list = (rank === 1 ? wrong : whole) as number[];
    found.push(failure(() => world.scatterObject(list, 1)));
    found.push(failure(() => world.alltoallObject(list)));
  }
  return [found, world.alltoallObject(whole)];
}

function failureOf(deed: () => unknown): unknown {
  try {
    deed();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The event loop turns while a request is awaited, and a buffer is held though nobody else does. */
async function awaiting(): Promise<unknown> {
  const found: unknown[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const numbers = new Float64Array(10);
  if (rank === 0) {
    const request = world.irecv(numbers, 1, 5);
    found.push(request.done, request.test());
    // Only now may rank 1 send.
    while (turns < 3) await Bun.sleep(1);
    world.send(new Uint8Array(0), 1, 1);
    const before = turns;
    const status = await request;
    found.push(turns > before, status, [...numbers.subarray(0, 3)], request.done, request.wait());
  } else if (rank === 1) {
    world.recv(new Uint8Array(0), 0, 1);
    await Bun.sleep(30);
    world.send(Float64Array.of(1, 2, 3), 0, 5);
  }
  clearInterval(timer);
  // Many at once, of arrays that an engine may move, all of them forgotten but by their requests.
  const arrays = Array.from({ length: 300 }, () => new Int32Array(50));
  const receives = arrays.map((array, i) => world.irecv(array, left, 100 + i));
  for (let i = 0; i < 300; i++) world.isend(new Int32Array(50).fill(rank + i), right, 100 + i);
  Bun.gc(true);
  for (const array of arrays) void array.buffer;
  await Promise.all(receives);
  found.push(arrays.filter((array, i) => array.every((x) => x === left + i)).length);
  return found;
}

async function requests(): Promise<unknown> {
  const found: unknown[] = [];
  const cells = [0, 1, 2].map(() => new Int32Array(1));
  const receives = cells.map((cell, tag) => world.irecv(cell, left, tag));
  const sends = [2, 1, 0].map((tag) => world.isend(Int32Array.of(10 * rank + tag), right, tag));
  found.push(Request.waitAll([...receives, ...sends]).map(({ tag, count }) => [tag, count]));
  found.push(cells.every((cell, tag) => cell[0] === 10 * left + tag));
  const pair = [7, 8].map((tag) => world.irecv(cells[0]!, left, tag));
  world.isend(Int32Array.of(1), right, 8);
  found.push(Request.waitAny(pair), pair[0]!.cancel(), pair[0]!.cancel(), pair[1]!.cancel());
  found.push(await pair[0]!.then(null, (error) => error instanceof CancelledError));
  found.push(Request.waitAny([]), Request.waitAll([]));
  // Receives of values are served in their order, whatever is tested first.
  const values = [
    world.irecvObject(left, 3),
    world.irecvObject(left, ANY_TAG),
    world.irecvObject(left, 3),
  ];
  world.barrier();
  for (const value of ["first", "second", "third"]) world.isendObject(value, right, 3);
  while (!values[2]!.test());
  found.push(await Promise.all(values));
  const given = world.irecvObject(left, 44);
  found.push(given.cancel(), await given.then(null, (error: Error) => error.name));
  // A failure is told to whoever asks, as often as they ask.
  const short = world.irecv(new Int32Array(1), left, 9);
  world.send(new Int32Array(5), right, 9);
  found.push(
    await short.then(null, (error: MpiError) => error.mpiClass),
    failureClass(() => short.wait()),
  );
  // The later message is there, so the one before it is: there is nothing left to give up.
  const long = world.irecv(new Int32Array(1), left, 12);
  world.send(new Int32Array(5), right, 12);
  world.send(Int32Array.of(1), right, 13);
  world.recv(cells[0]!, left, 13);
  found.push(long.cancel());
  const after = world.irecv(cells[0]!, left, 14);
  found.push(failureClass(() => long.test()));
  world.send(Int32Array.of(1), right, 14);
  found.push(after.wait().tag);
  // Nobody.
  found.push(world.recv(cells[0]!, PROC_NULL), world.isend(cells[0]!, PROC_NULL).wait());
  found.push(world.irecv(cells[0]!, PROC_NULL).wait(), await world.irecv(cells[0]!, PROC_NULL));
  found.push(world.iprobe());
  world.sendObject("nobody", PROC_NULL);
  found.push(world.recvObject(PROC_NULL), await world.irecvObject(PROC_NULL));
  // Also while somebody waits for a value, which is the first to have what comes, and goes on meanwhile.
  const promised = world.irecvObject(left);
  found.push(world.recvObject(PROC_NULL));
  world.barrier();
  world.sendObject("a value", right, 1);
  world.send(Int32Array.of(5), right, 2);
  const { tag } = world.probe(left);
  found.push(tag, world.recv(cells[0]!, left).tag, cells[0]![0], promised.wait());
  const huge = world.irecvObject<Uint8Array>(left, 3);
  const small = world.irecv(cells[0]!, left, 4);
  world.barrier();
  world.sendObject(new Uint8Array(70_000_000), right, 3);
  world.send(Int32Array.of(6), right, 4);
  found.push(Request.waitAny([small]), cells[0]![0], huge.wait().length);
  // Each once, as they come, whatever comes first.
  const both = [world.irecv(cells[0]!, left, 5), world.irecv(cells[1]!, left, 6)];
  world.isend(Int32Array.of(1), right, 6);
  const order = [Request.waitAny(both)];
  world.isend(Int32Array.of(1), right, 5);
  order.push(Request.waitAny(both), Request.waitAny(both));
  found.push(order.sort());
  return found;
}

/** All send before they receive. */
async function sending(): Promise<unknown> {
  const found: unknown[] = [];
  const send = (length: number, to = right) =>
    world.sendObject(new Uint8Array(length).fill(to), to);
  const isMine = (value: Uint8Array): boolean =>
    Buffer.compare(value, new Uint8Array(value.length).fill(rank)) === 0;
  const first = world.irecvObject<Uint8Array>(left);
  send(300_000);
  // One that receives a value, and is in a call that blocks, keeps nobody who sends it.
  world.barrier();
  found.push(isMine(await first));
  send(300_000);
  found.push(isMine(world.recvObject<Uint8Array>(left)));
  send(300_000, rank);
  found.push(isMine(world.recvObject<Uint8Array>(rank)));
  // More than may be on the way.
  const large = [1, 2].map(() => world.irecvObject<Uint8Array>(left));
  send(40_000_000);
  const request = world.isendObject(new Uint8Array(40_000_000).fill(right), right);
  found.push(request.done);
  await request;
  for (const value of await Promise.all(large)) found.push(isMine(value));
  return found;
}

function failureClass(deed: () => unknown): unknown {
  const error = failureOf(deed);
  return error instanceof MpiError ? error.mpiClass : error;
}

function transferred(buffer: ArrayBuffer): ArrayBuffer {
  buffer.transfer();
  return buffer;
}

function mistakes(): unknown {
  const array = Float64Array.of(1, 2, 3);
  const twice = new Float64Array(2 * size);
  const anything = (value: unknown): never => value as never;
  const found = [
    failure(() => world.send(array, 99)),
    failure(() => world.send(array, -7)),
    failure(() => world.send(array, anything("1"))),
    failure(() => world.send(array, 2 ** 32)),
    failure(() => world.send(array, 0, -1)),
    failure(() => world.send(array, 0, 1.5)),
    failure(() => world.send(anything("text"), 0)),
    failure(() => world.send(anything([1, 2]), 0)),
    failure(() => world.send(anything(null), 0)),
    failure(() => world.isend(anything(new Float16Array(2)), 0)),
    failure(() => world.send(transferred(array.slice().buffer), 0)),
    failure(() => world.irecv(transferred(new ArrayBuffer(8)), 0)),
    failure(() => world.recv(array, 99)),
    failure(() => world.recv(array, 0, anything({}))),
    failure(() => world.irecv(array, -9)),
    failure(() => world.probe(77)),
    failure(() => world.iprobe(0, -5)),
    failure(() => world.bcast(array, 99)),
    failure(() => world.bcast(array, -1)),
    failure(() => world.bcast(array, anything("0"))),
    failure(() => world.allreduce(array, anything("SUM"))),
    failure(() => world.allreduce(array, LAND)),
    failure(() => world.allreduce(array, anything(new Int32Array(3)))),
    failure(() => world.allreduce(array, new Float64Array(2))),
    failure(() => world.allgather(array, new Float64Array(3 * size - 1))),
    failure(() => world.alltoall(new Float64Array(size + 1))),
    failure(() => world.allgatherv(array, null, [3])),
    failure(() =>
      world.allgatherv(
        array,
        null,
        Array.from({ length: size }, () => -3),
      ),
    ),
    failure(() =>
      world.allgatherv(
        array,
        null,
        Array.from({ length: size }, () => 2),
      ),
    ),
    failure(() =>
      world.alltoallv(
        array,
        Array.from({ length: size }, () => 9),
        null,
        [9, 9],
      ),
    ),
    failure(() => world.allreduceObject(1, anything(3))),
    failure(() => world.split(-3)),
    failure(() => world.split(anything("red"))),
    failure(() => world.group([99])),
    failure(() => world.group([(rank + 1) % size])),
    failure(() => world.group([rank, rank])),
    failure(() => world.free()),
    failure(() => world.alltoall(twice, twice)),
    failure(() => world.allreduce(twice.subarray(1), twice.subarray(0, -1))),
    failure(() => world.sendrecv(twice, rank, new Uint8Array(twice.buffer), rank)),
    failure(() => world.isend(array, PROC_NULL).cancel()),
  ];
  const own = world.dup();
  own.free();
  found.push(
    failure(() => own.send(array, 0)),
    failure(() => own.free()),
    failure(() => own.dup()),
    failure(() => world.iprobe(0, 1.5)),
  );
  // What came is no whole number of elements; and is no object.
  const bytes = world.isend(new Uint8Array(12), right, 1);
  found.push(failure(() => world.recv(new Float64Array(5), left, 1)));
  const numbers = world.isend(new Float64Array(9), right, 2);
  found.push(failure(() => world.recvObject(left, 2)));
  const longer = world.isend(new Float64Array(9), right, 3);
  found.push(failure(() => world.recv(new Float64Array(8), left, 3)));
  // Nothing is written beyond, however long it is.
  const room = new Uint8Array(50_000);
  const much = world.isend(new Uint8Array(50_000).fill(7), right, 4);
  found.push(failure(() => world.recv(room.subarray(0, 16), left, 4)));
  const more = world.isend(new Uint8Array(50_000).fill(7), right, 5);
  found.push(failure(() => world.sendrecv(array, PROC_NULL, room.subarray(0, 16), left, 0, 5)));
  found.push(`beyond: ${room.subarray(16).some((byte) => byte !== 0)}`);
  Request.waitAll([bytes, numbers, longer, much, more]);
  return found;
}

/** The same tag on many communicators, sent in one order and received in another. */
function communicators(): unknown {
  const even = world.split(rank % 2, -rank);
  const some = rank < 2 ? world.group([1, 0]) : null;
  const none = world.split(rank === 0 ? null : 3);
  const nested: Communicator[] = [];
  for (let comm: Communicator = world; nested.length < 10;) {
    comm = comm.dup();
    nested.push(comm);
  }
  const found: unknown[] = [
    { even: [even.rank, even.size], some: some && [some.rank, some.size, some.name] },
    none === null ? null : [none.rank, none.size, none.name],
    nested.at(-1)!.name,
  ];
  nested.forEach((comm, i) => comm.isend(Int32Array.of(i), right, 5));
  const cell = new Int32Array(1);
  found.push(nested.toReversed().map((comm) => (comm.recv(cell, left, 5), cell[0])));
  if (some !== null) found.push([...some.allreduce(Int32Array.of(rank + 1))]);
  for (const comm of nested) comm.free();
  // Numbers of freed ones are given out again.
  for (let i = 0; i < 200; i++) even.dup().free();
  found.push([...even.allgather(Int32Array.of(rank))], even.toString());
  return found;
}

const DEEDS: Record<string, () => unknown> = {
  objects,
  unsendable,
  misfits,
  awaiting,
  requests,
  sending,
  mistakes,
  communicators,
};

const result = await DEEDS[process.argv[2] ?? ""]!();
const all = world.gatherObject(result);
if (all !== null) console.log(JSON.stringify(all));
