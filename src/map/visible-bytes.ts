/** Longer lists are not looked through. */
const FEW = 16;

/**
 * Bytes of a result, as far as they can be seen at once: those of a text or a buffer, or of several
 * that lie directly in an object or a short list.
 */
export function visibleBytes(value: unknown, levels = 1): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
  if (levels === 0) return 0;
  // Of other classes a getter could be the program's.
  const isList = Array.isArray(value);
  if (isList ? value.length > FEW : Object.getPrototypeOf(value) !== Object.prototype) return 0;
  let bytes = 0;
  for (const part of Object.values(value)) bytes += visibleBytes(part, levels - 1);
  return bytes;
}
