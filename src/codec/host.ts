/** The runtime's own objects, as far as the engine carries them to another process. */
import { resolve } from "node:path";

/** Loaded when first used: most programs never use it. */
function engine(): typeof import("bun:jsc") {
  return process.getBuiltinModule("bun:jsc") as typeof import("bun:jsc");
}

/** In the description of an object's structure its class name stands behind two numbers. */
const CLASS = /\(Structure \w+:\[\w+\/\d+, ([^,]+), /;

/**
 * Whether an object consists of its properties alone, though its class is the runtime's: `fs.Stats`
 * does, a URL does not. Structured clone makes a plain object of it.
 */
export function isMadeOfProperties(value: object): boolean {
  if (CLASS.exec(engine().jscDescribe(value))?.[1] !== "Object") return false;
  // Some objects of that name have their state elsewhere; they show no property.
  if (Object.keys(value).length > 0) return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * The engine's bytes for an object of the runtime, as a KeyObject. Null if the engine cannot write
 * it, or would read back something else, as where the object itself stays in this process.
 */
export function hostBytes(value: object): Uint8Array<ArrayBuffer> | null {
  try {
    const bytes = engine().serialize(value instanceof Blob ? located(value) : value, {
      binaryType: "nodebuffer",
    });
    const copy: unknown = engine().deserialize(bytes);
    if (typeof copy !== "object" || copy === null) return null;
    return Object.getPrototypeOf(copy) === Object.getPrototypeOf(value)
      ? new Uint8Array(bytes)
      : null;
  } catch {
    return null;
  }
}

/** The object of bytes by `hostBytes`; null if they are damaged. */
export function hostFrom(bytes: Uint8Array): object | null {
  try {
    const value: unknown = engine().deserialize(bytes.slice().buffer);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** The same file by an absolute path. */
function located(blob: Blob): Blob {
  const { name } = blob as { name?: unknown };
  if (typeof name !== "string") throw new TypeError("it is no file with a path");
  if (name.startsWith("/")) return blob;
  const whole = Bun.file(name);
  if (whole.size !== blob.size) throw new TypeError("it is part of a file with a relative path");
  return Bun.file(resolve(name), { type: blob.type });
}
