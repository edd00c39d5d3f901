/** Lengths of time, numbers and sizes as a person reads them. */

/** As in `3.1 ms`, `12.5 s`, `1:02:03`. */
export function lengthOf(ms: number): string {
  if (!(ms > 0)) return "0 ms";
  if (ms < 0.9995) return `${digits(ms * 1000)} µs`;
  if (ms < 999.5) return `${digits(ms)} ms`;
  if (ms < 59_950) return `${digits(ms / 1000)} s`;
  return clockOf(ms);
}

/** As in `0:03:12`. */
export function clockOf(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
}

/** Three digits. */
function digits(x: number): string {
  if (x >= 99.95) return x.toFixed(0);
  return x >= 9.995 ? x.toFixed(1) : x.toFixed(2);
}

/** As in `1,234,567`. */
export function countOf(n: number): string {
  return String(Math.round(n)).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** As in `61 MB`. */
export function bytesOf(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let i = 0;
  let x = bytes;
  for (; x >= 999.5 && i < units.length - 1; i++) x /= 1000;
  return `${i === 0 || x >= 99.95 ? x.toFixed(0) : digits(x)} ${units[i]}`;
}

/** As in `93.4 %`. */
export function percentOf(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
