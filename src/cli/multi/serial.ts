/** Deeds one after another, each begun when the one before it has ended. */
export class Serial {
  #last: Promise<void> = Promise.resolve();

  /** Resolves, or rejects, as the deed does. */
  add(deed: () => Promise<void>): Promise<void> {
    const done = this.#last.then(deed);
    // A deed that failed has told the one that waits for it.
    this.#last = done.catch(() => {});
    return done;
  }
}
