/** Assertions that work outside of the test runner, too. */
import assert from "node:assert/strict";
import { TimeoutError } from "../../index.ts";
import { difference } from "../codec/same.ts";

export { assert };

type Class<E> = abstract new (...args: never[]) => E;

/** What a promise (or a handle) rejects with, which must be of that class. */
export async function failure<E>(promise: PromiseLike<unknown>, kind: Class<E>): Promise<E> {
  const error = await thrownBy(promise);
  if (error instanceof kind) return error;
  const found = error instanceof Error ? (error.stack ?? String(error)) : Bun.inspect(error);
  throw new Error(`expected ${kind.name}, got ${found}`, { cause: error });
}

/** What a promise rejects with, whatever it is. */
export async function thrownBy(promise: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a failure, got ${Bun.inspect(value)}`);
}

/** What a call throws at once, or what the promise it returns rejects with. */
export async function refusal<E>(submit: () => PromiseLike<unknown>, kind: Class<E>): Promise<E> {
  return await failure((async () => await submit())(), kind);
}

/** ms after which a task has begun even on a machine that is very busy. */
const MOST_TO_BEGIN = 5_000;

/**
 * Fails a task by its timeout once it has begun: a busy machine may keep a worker from its call
 * until the time of that is over. The timeout is doubled until `hasBegun` says that it did.
 */
export async function timesOutBegun(
  submit: (timeout: number) => PromiseLike<unknown>,
  hasBegun: () => boolean | PromiseLike<boolean>,
): Promise<void> {
  for (let timeout = 40; timeout < MOST_TO_BEGIN; timeout *= 2) {
    await failure(submit(timeout), TimeoutError);
    if (await hasBegun()) return;
  }
  throw new Error(`a task did not begin within ${MOST_TO_BEGIN} ms`);
}

/** Same kinds, contents, identities: -0 is not 0, and two equal objects are not one object twice. */
export function same(actual: unknown, expected: unknown, what = "value"): void {
  const found = difference(actual, expected);
  if (found !== null) throw new Error(`${what} differs: ${found}`);
}

/** Resolves once `condition` holds; fails, naming `what`, when it does not within `limit` ms. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 5_000,
): Promise<void> {
  const start = performance.now();
  while (!(await condition())) {
    const waited = performance.now() - start;
    if (waited > limit) throw new Error(`waited ${limit} ms in vain for ${what}`);
    // Some conditions read all of /proc: the longer the wait, the fewer looks.
    const pause = Math.min(Math.max(2, waited / 10), 20);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** ms that `deed` took. */
export async function timed(deed: () => PromiseLike<unknown>): Promise<number> {
  const start = performance.now();
  await deed();
  return performance.now() - start;
}
