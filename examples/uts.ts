/**
 * Unbalanced tree search, the benchmark: counts the nodes of a tree whose shape is known only while
 * it is walked, as a hash decides how many children a node has. A task walks what is below a node
 * near the root; further up each node is a task that submits those of its children.
 *
 *   bun run examples/uts.ts
 *   mpirun -n 4 bun run examples/uts.ts 10 3
 */
import { AsyncPool, taskContext } from "../index.ts";

/** The geometric tree T1 of the benchmark: `-t 1 -a 3 -d 10 -b 4 -r 19`. */
const BRANCHES = 4;
const SEED = 19;
const DEPTH = 10;
const T1 = { nodes: 4_130_071, depth: 10, leaves: 3_305_118 };

/** Levels of which each node is a task of its own. */
const CUTOFF = 3;
const MOST_CHILDREN = 100;

/** What a tree has, or a part of it. */
export interface Tree {
  readonly nodes: number;
  readonly leaves: number;
  readonly depth: number;
}

const schedule = new Int32Array(80);
/** The five words of the last hash. */
const hash = new Int32Array(5);

/** SHA-1 of one block, of `words` words of which the last is a count, left in `hash`. */
function sha1(words: number): void {
  schedule[words] = 0x8000_0000;
  for (let i = words + 1; i < 15; i++) schedule[i] = 0;
  schedule[15] = 32 * words;
  for (let i = 16; i < 80; i++) {
    const word = schedule[i - 3]! ^ schedule[i - 8]! ^ schedule[i - 14]! ^ schedule[i - 16]!;
    schedule[i] = (word << 1) | (word >>> 31);
  }
  let [a, b, c, d, e] = [0x6745_2301, ~0x1032_5476, ~0x6745_2301, 0x1032_5476, ~0x3c2d_1e0f];
  for (let i = 0; i < 80; i++) {
    let f = 0;
    if (i < 20) f = ((b & c) | (~b & d)) + 0x5a82_7999;
    else if (i < 40) f = (b ^ c ^ d) + 0x6ed9_eba1;
    else if (i < 60) f = ((b & c) | (b & d) | (c & d)) - 0x70e4_4324;
    else f = (b ^ c ^ d) - 0x359d_3e2a;
    const next = (((a << 5) | (a >>> 27)) + f + e + schedule[i]!) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  hash[0] = a + 0x6745_2301;
  hash[1] = b + ~0x1032_5476;
  hash[2] = c + ~0x6745_2301;
  hash[3] = d + 0x1032_5476;
  hash[4] = e + ~0x3c2d_1e0f;
}

/** The state of the root: the hash of 16 bytes of zeros and the seed. */
function rootState(seed: number): number[] {
  schedule.fill(0, 0, 4);
  schedule[4] = seed;
  sha1(5);
  return [...hash];
}

/** The state of a node's child: the hash of the node's state and the child's place. */
function childState(state: ArrayLike<number>, from: number, place: number): void {
  for (let i = 0; i < 5; i++) schedule[i] = state[from + i]!;
  schedule[5] = place;
  sha1(6);
}

/** How many children a node has, by the last word of its state. */
function childrenOf(last: number, depth: number, most: number): number {
  if (depth >= most) return 0;
  const uniform = (last & 0x7fff_ffff) / 0x8000_0000;
  const count = Math.floor(Math.log(1 - uniform) / Math.log(1 - 1 / (1 + BRANCHES)));
  return depth === 0 ? count : Math.min(count, MOST_CHILDREN);
}

/** The states on the way down, five words for each level. */
const path = new Int32Array(5 * 64);

/** Walks the tree below a node by itself. */
export function walk(state: readonly number[], depth: number, most: number): Tree {
  path.set(state, 0);
  const tree = { nodes: 0, leaves: 0, depth: 0 };
  const visit = (level: number): void => {
    const at = 5 * level;
    const count = childrenOf(path[at + 4]!, depth + level, most);
    tree.nodes++;
    tree.depth = Math.max(tree.depth, depth + level);
    if (count === 0) tree.leaves++;
    for (let i = 0; i < count; i++) {
      childState(path, at, i);
      path.set(hash, at + 5);
      visit(level + 1);
    }
  };
  visit(0);
  return tree;
}

/** Walks the tree below a node: a task for each child, down to the cutoff. */
export async function search(
  state: readonly number[],
  depth: number,
  most: number,
  cutoff: number,
): Promise<Tree> {
  if (depth >= cutoff) return walk(state, depth, most);
  const { pool } = taskContext();
  const count = childrenOf(state[4]!, depth, most);
  const children = Array.from({ length: count }, (_, i) => {
    childState(state, 0, i);
    return pool.async(search, [...hash], depth + 1, most, cutoff);
  });
  const tree = { nodes: 1, leaves: count === 0 ? 1 : 0, depth };
  for (const below of await Promise.all(children)) {
    tree.nodes += below.nodes;
    tree.leaves += below.leaves;
    tree.depth = Math.max(tree.depth, below.depth);
  }
  return tree;
}

async function main(depth: number, cutoff: number): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  const isDepth = (n: number): boolean => Number.isInteger(n) && n >= 0 && n <= DEPTH;
  if (!isDepth(depth) || !isDepth(cutoff)) {
    console.error("usage: bun run examples/uts.ts [depth [cutoff]]   (each 0 to 10)");
    process.exitCode = 2;
    return;
  }
  const start = performance.now();
  const tree = await pool.async(search, rootState(SEED), 0, depth, cutoff);
  const seconds = (performance.now() - start) / 1000;
  console.log(`${tree.nodes} nodes, depth ${tree.depth}, ${tree.leaves} leaves`);
  console.log(`${pool.size} workers, ${seconds.toFixed(3)} s`);
  if (depth === DEPTH) {
    const isRight = tree.nodes === T1.nodes && tree.leaves === T1.leaves && tree.depth === T1.depth;
    console.log(isRight ? "as published" : "NOT AS PUBLISHED");
    process.exitCode = isRight ? 0 : 1;
  }
}

if (import.meta.main) {
  await main(Number(process.argv[2] ?? DEPTH), Number(process.argv[3] ?? CUTOFF));
}
