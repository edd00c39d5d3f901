/**
 * Another pool for JavaScript. They are installed for this folder alone and may be missing: hence the
 * imports by name. Without it the program ends, and says that.
 */
export async function load(name: string): Promise<unknown> {
  try {
    return (await import(name)) as unknown;
  } catch (error) {
    const absent = (error as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND";
    const missing = absent ? "it is not installed" : `it does not load: ${String(error)}`;
    console.log(JSON.stringify({ missing }));
    process.exit(0);
  }
}
