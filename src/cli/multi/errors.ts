/** An error of the farm's own, for a person: the exit code is 255. */
export class FarmError extends Error {}
