/** Objects that are the runtime's own, as far as the engine carries them to another process. */
import { resolve } from "node:path";

/** Loaded when it is first asked: most programs never do. */
function engine(): typeof import("bun:jsc") {
  return process.getBuiltinModule("bun:jsc") as typeof import("bun:jsc");
}

/** In the description of an object's structure the name of its class stands behind two numbers. */
const CLASS = /\(Structure \w+:\[\w+\/\d+, ([^,]+), /;

/**
 * Whether an object is made of nothing but its properties, though its class is the runtime's:
 * `fs.Stats` is, a URL is not. Of such a thing structured clone makes a plain object.
 */
export function isMadeOfProperties(value: object): boolean {
  if (CLASS.exec(engine().jscDescribe(value))?.[1] !== "Object") return false;
  // Some have the same name, and all that they are elsewhere; they show no property.
  if (Object.keys(value).length > 0) return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the engine writes of an object of the runtime, as a KeyObject; null if it cannot, or if
 * what is read from it would be something else, as where the object itself stays in this process.
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

/** The object that `hostBytes` has written; null for damaged bytes. */
export function hostFrom(bytes: Uint8Array): object | null {
  try {
    const value: unknown = engine().deserialize(bytes.slice().buffer);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** A file by a path that means the same in another folder. */
function located(blob: Blob): Blob {
  const { name } = blob as { name?: unknown };
  if (typeof name !== "string") throw new TypeError("it is no file with a path");
  if (name.startsWith("/")) return blob;
  const whole = Bun.file(name);
  if (whole.size !== blob.size) throw new TypeError("it is part of a file with a relative path");
  return Bun.file(resolve(name), { type: blob.type });
}
