/** What the calls of random operations run on a worker. */

export function echo(x: unknown): unknown {
  return x;
}

export async function echoLater(x: unknown): Promise<unknown> {
  await new Promise((resolve) => setImmediate(resolve));
  return x;
}

export function fail(x: unknown): never {
  throw new RangeError(`failed with ${JSON.stringify(x)}`);
}

export function refuse(_: unknown): symbol {
  return Symbol("it cannot travel");
}

export function spin(x: unknown): unknown {
  const end = performance.now() + 0.3;
  while (performance.now() < end);
  return x;
}

/** Ends by a timeout, a signal or `cancel` only. */
export async function wait(_: unknown): Promise<never> {
  return await new Promise(() => {});
}

export function exit(_: unknown): never {
  process.exit(3);
}
