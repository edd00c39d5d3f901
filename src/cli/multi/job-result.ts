/** How jobs end, as all parts of a farm know it, and as a message carries it. */

/** How a job ended, and its output, if that is short. */
export interface JobResult {
  readonly host: string;
  /** ms since 1970, and ms. */
  readonly start: number;
  readonly runTime: number;
  /** -1 where a time limit has ended it, as in GNU parallel. */
  readonly exit: number;
  readonly signal: number;
  readonly isLate: boolean;
  /** Why it could not be started; null if it was. */
  readonly refusal: string | null;
  /** The bytes of each output. */
  readonly sizes: readonly [number, number];
  /** The outputs; null where `read` has to be asked. */
  readonly outputs: readonly [Uint8Array | null, Uint8Array | null];
  /** The end of the standard error of a job that failed. */
  readonly lastWords: string;
}

const NOTHING = new Uint8Array(0);

/** In a message: no more than text and numbers where a job has no output, as most have. */
export type PackedResult = readonly [
  ...ending: [string, number, number, number, number, boolean, string | null, string],
  ...output: [number, number, PackedOutput, PackedOutput],
];
type PackedOutput = Uint8Array | null | 0;

export function packed(result: JobResult): PackedResult {
  const { host, start, runTime, exit, signal, isLate, refusal, lastWords, sizes } = result;
  const [out, error] = result.outputs.map((one) => (one?.length === 0 ? 0 : one));
  const [outSize, errorSize] = sizes;
  return [
    ...([host, start, runTime, exit, signal, isLate, refusal, lastWords] as const),
    ...([outSize, errorSize, out!, error!] as const),
  ];
}

export function unpacked(packed: PackedResult): JobResult {
  const [host, start, runTime, exit, signal, isLate, refusal, lastWords, ...output] = packed;
  const [outSize, errorSize, out, error] = output;
  const sizes = [outSize, errorSize] as const;
  const outputs = [out === 0 ? NOTHING : out, error === 0 ? NOTHING : error] as const;
  return { host, start, runTime, exit, signal, isLate, refusal, lastWords, sizes, outputs };
}
