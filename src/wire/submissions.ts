import type { FunctionReference } from "../function/record.ts";
import { malformed } from "./frame-layout.ts";
import type { ChildOptions, FunctionDefinition } from "./frames.ts";

/** What a worker says of the tasks that its tasks submit, checked: a task may have damaged it. */

export function readDefinition(value: unknown): FunctionDefinition {
  const { id, label, reference } = fieldsOf(value);
  if (typeof id === "number" && typeof label === "string" && isReference(reference)) {
    return { id, label, reference };
  }
  throw malformed("a task submits a function that is none");
}

export function readChildOptions(value: unknown): ChildOptions {
  const { timeout, priority, retries, worker } = fieldsOf(value);
  const isRight =
    typeof timeout === "number" && typeof priority === "number" && typeof retries === "number";
  if (isRight && (worker === null || typeof worker === "number")) {
    return { timeout, priority, retries, worker };
  }
  throw malformed("a task has options that are none");
}

export function readNumbers(value: unknown): readonly number[] {
  if (Array.isArray(value) && value.every((each) => typeof each === "number")) return value;
  throw malformed("a task names functions by what is no number");
}

function isReference(value: unknown): value is FunctionReference {
  const { kind, name, module, modules, binding, text, expression, line } = fieldsOf(value);
  const areTexts = (...values: unknown[]) => values.every((each) => typeof each === "string");
  switch (kind) {
    case "task":
      return areTexts(name);
    case "export":
      return areTexts(module, name);
    case "text":
      return areTexts(text);
    case "source":
      return (
        Array.isArray(modules) &&
        areTexts(name, text, expression, ...(modules as unknown[])) &&
        typeof line === "number" &&
        (binding === null || areTexts(fieldsOf(binding)["module"], fieldsOf(binding)["name"]))
      );
    default:
      return false;
  }
}

/** Its own fields; none of what is no plain object. */
function fieldsOf(value: unknown): Record<string, unknown> {
  const isObject = typeof value === "object" && value !== null;
  if (!isObject || Object.getPrototypeOf(value) !== Object.prototype) return {};
  return value as Record<string, unknown>;
}
