// C sources imported as text, so that a bundled or compiled program contains the shim.
declare module "*.c" {
  const text: string;
  export default text;
}
declare module "*.h" {
  const text: string;
  export default text;
}
