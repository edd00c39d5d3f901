import { show } from "../errors.ts";
import { MessageHandle } from "../handle.ts";
import { aside } from "../os/whole.ts";

/** The handles of an iterable, or a `TypeError` that says what else it has. */
export function readHandles<H extends MessageHandle<unknown>>(
  deed: string,
  handles: Iterable<H>,
): H[] {
  const given: unknown = handles;
  if (given instanceof MessageHandle) {
    throw new TypeError(`Cannot ${deed}: expected several handles, got one; pass [handle]`);
  }
  if (!isIterable(given)) {
    const cure = isAsyncIterable(given) ? "; pass await Array.fromAsync(handles)" : "";
    const what = "expected an array, or another iterable, of handles";
    throw new TypeError(`Cannot ${deed}: ${what}, got ${show(given)}${cure}`);
  }
  // Its iterator is the program's code.
  const list = aside(() => [...given]);
  const wrong = list.findIndex((one) => !(one instanceof MessageHandle));
  if (wrong < 0) return list as H[];
  throw new TypeError(
    `Cannot ${deed}: expected the handles that pool.async returns, got ${show(list[wrong])} at ` +
      `index ${wrong}; pass the handles themselves, not promises or results of theirs`,
  );
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value !== "string" && hasMethod(value, Symbol.iterator);
}

function isAsyncIterable(value: unknown): boolean {
  return hasMethod(value, Symbol.asyncIterator);
}

function hasMethod(value: unknown, name: symbol): boolean {
  if (value === null || value === undefined) return false;
  return typeof (value as Record<symbol, unknown>)[name] === "function";
}
