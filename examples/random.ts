/** Seeded random numbers, with as many independent streams as there are tasks. */

const WARM_UP = 12;

/**
 * Numbers from 0 to below 1. A task takes the stream of its own number, so that its numbers do not
 * depend on the worker that runs it, nor on the tasks before it. The generator is sfc32 of
 * PractRand (C. Doty-Humphrey): 128 bits of state, a period of 2^32 or more.
 */
export function generator(seed: number, stream: number): () => number {
  let a = 0;
  let b = seed | 0;
  let c = stream | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < WARM_UP; i++) next();
  return next;
}
