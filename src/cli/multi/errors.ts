/** An error of the farm's own, for a person: the exit code is 255. */
export class FarmError extends Error {}

/** The output of a job was on a worker that was lost: that job has failed, and no other. */
export class OutputLostError extends Error {}
