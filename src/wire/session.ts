let sessions = 0;

/** A number no other pool of this process has had. */
export function newSession(): number {
  return ++sessions;
}
