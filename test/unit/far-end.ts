import { join } from "node:path";
import type { Question } from "./fixtures/far-end.ts";

type Answer = { readonly value?: unknown; readonly error?: Error };

/** A process in which modules are loaded and functions found as a worker does. */
export class FarEnd implements AsyncDisposable {
  readonly #answers = new Map<number, (answer: Answer) => void>();
  readonly #child: Bun.Subprocess<"ignore", "inherit", "inherit">;
  #asked = 0;

  /** `main` is the script that texts are evaluated in. */
  constructor(main: string) {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "fixtures", "far-end.ts")], {
      env: { ...process.env, FAR_END_MAIN: main },
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "advanced",
      ipc: ({ id, ...answer }: { id: number } & Answer) => this.#answers.get(id)?.(answer),
      onExit: (_, code) => {
        for (const answer of this.#answers.values()) answer({ error: Error(`it ended: ${code}`) });
      },
    });
  }

  async ask(question: Question): Promise<unknown> {
    const id = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#answers.set(id, resolve);
    this.#child.send({ id, question });
    const { value, error } = await promise;
    this.#answers.delete(id);
    if (error === undefined) return value;
    const { name, message, stack } = error;
    throw Object.assign(new Error(message), { name, stack });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}
