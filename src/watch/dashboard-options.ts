import { show } from "../errors.ts";

/**
 * Options of `pool.dashboard`.
 *
 * @example
 * const { url } = await pool.dashboard({ port: 8080 });
 */
export interface DashboardOptions {
  /** 0, the default: any port that is free. */
  readonly port?: number;
  /** The address to listen on; `"127.0.0.1"` by default, which other machines cannot reach. */
  readonly host?: string;
}

const KNOWN = ["port", "host"];

/** Checked, with what is left out. */
export function readDashboardOptions(options: DashboardOptions): Required<DashboardOptions> {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot serve the dashboard: expected an object of options, got ${show(options)}`,
    );
  }
  const unknown = Object.keys(options).find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot serve the dashboard: unknown option "${unknown}"; there are port and host`,
    );
  }
  const { port = 0, host = "127.0.0.1" } = options;
  if (typeof host !== "string" || host === "") {
    throw new TypeError(
      `Cannot serve the dashboard: host must be an address or a name, got ${show(host)}`,
    );
  }
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return { port, host };
  const kind = typeof port === "number" ? RangeError : TypeError;
  throw new kind(
    `Cannot serve the dashboard: port must be a whole number from 0 to 65535, got ${show(port)}`,
  );
}
