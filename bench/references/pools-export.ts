/** What piscina and tinypool call: a module's default export. */
export default function same(x: number): number {
  return x;
}
