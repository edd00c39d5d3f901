import { shortArguments } from "../codec/short.ts";
import { isError } from "../os/natives.ts";

/** Letters of an error's text. */
const MOST_LETTERS = 300;

/** A thrown value in one line. No code of the value's own is run. */
export function textOf(thrown: unknown): string {
  try {
    if (!isError(thrown)) return shortArguments([thrown]);
    const message = ownText(thrown, "message").split("\n", 1)[0]!;
    const text = [nameOf(thrown), message].filter((part) => part !== "").join(": ");
    return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text;
  } catch {
    return "something that cannot be shown";
  }
}

/** Letters of a stack. */
const MOST_STACK = 1_500;

/** Where an error was thrown, as it says; empty of other values. No code of its own is run. */
export function stackOf(thrown: unknown): string {
  try {
    return isError(thrown) ? ownText(thrown, "stack").slice(0, MOST_STACK) : "";
  } catch {
    return "";
  }
}

function nameOf(error: Error): string {
  for (let next: object | null = error; next !== null; next = above(next)) {
    const name = ownText(next, "name");
    if (name !== "") return name;
  }
  return "Error";
}

function above(object: object): object | null {
  return Object.getPrototypeOf(object) as object | null;
}

function ownText(object: object, key: string): string {
  const value: unknown = Object.getOwnPropertyDescriptor(object, key)?.value;
  return typeof value === "string" ? value : "";
}
