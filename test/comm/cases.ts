/** The table of cases that compare.c and compare.ts both do. */

export const TYPES = [
  ...["Uint8Array", "Int8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array"],
  ...["Uint32Array", "BigInt64Array", "BigUint64Array", "Float32Array", "Float64Array"],
];
export const OPS = ["SUM", "PROD", "MIN", "MAX", "LAND", "LOR", "BAND", "BOR", "BXOR"];
const REDUCTIONS = ["reduce", "reduce-in-place", "allreduce", "allreduce-in-place", "scan"];
const MOVES = [
  ...["bcast", "gather", "scatter", "allgather", "alltoall", "gatherv", "scatterv", "allgatherv"],
  ...["alltoallv", "send", "sendrecv", "isend", "probe"],
];
/** None, one, odd ones, and more than the 1000 bytes that an engine may keep in memory that moves. */
const COUNTS = [0, 1, 3, 8, 1001];

export interface Case {
  readonly number: number;
  readonly kind: string;
  readonly type: string;
  readonly op: string;
  readonly count: number;
  readonly root: number;
}

/** Past this the ranks are more than most machines have cores, and a spinning MPI is slow then. */
const MANY = 2;

/**
 * Every operation with every type, every reduction with both; roots take turns, and so do the counts of
 * reductions and, on many ranks, of all.
 */
export function casesFor(size: number): Case[] {
  const cases: Case[] = [];
  const add = (kind: string, type: string, op: string, count: number): void => {
    const number = cases.length;
    cases.push({ number, kind, type, op, count, root: number % size });
  };
  for (const kind of MOVES) {
    for (const type of TYPES) {
      const some = size > MANY ? [COUNTS[cases.length % COUNTS.length]!] : COUNTS;
      for (const count of some) add(kind, type, "-", count);
    }
  }
  for (const kind of REDUCTIONS) {
    for (const type of TYPES) {
      for (const op of OPS) add(kind, type, op, COUNTS[cases.length % COUNTS.length]!);
    }
  }
  return cases;
}

export function printed(cases: readonly Case[]): string {
  return cases
    .map(({ number, kind, type, op, count, root }) =>
      [number, kind, type, op, count, root].join(" "),
    )
    .join("\n");
}

export function parsed(text: string): Case[] {
  return text.split("\n").map((line) => {
    const [number, kind = "", type = "", op = "", count, root] = line.split(" ");
    return { number: Number(number), kind, type, op, count: Number(count), root: Number(root) };
  });
}
