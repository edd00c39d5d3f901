import { type DecodeContext, decodeAt } from "../codec/value.ts";
import { FunctionError } from "../errors.ts";
import type { FunctionReference } from "../function/record.ts";
import type { Resolved } from "../function/resolve.ts";
import type { FunctionDefinition } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import { functions, loadFunctions } from "./functions-lazy.ts";
import { guarded } from "./ignored-signals.ts";

/** A function that the controller has sent: found, or why not; null while its module is loaded. */
interface Known {
  readonly label: string;
  readonly reference: FunctionReference;
  /** Whether it may ask for its pool; null before that was looked for. */
  mayNest: boolean | null;
  found: Resolved | FunctionError | null;
}

/** Finds a function without loading anything, or says why there is none; null where it cannot. */
export type FindAtOnce = (definition: FunctionDefinition) => Resolved | FunctionError | null;

/** The functions that a session's controller has sent, by their numbers. */
export class FunctionTable {
  readonly #known = new Map<number, Known>();
  /** The value that the pool has shared under that number. */
  sharedOf: (id: number) => object = () => ({});
  readonly #onFound: () => void;
  readonly #findAtOnce: FindAtOnce;
  #loading = 0;

  /**
   * `onFound` is called when a function was found, or was not, later; `findAtOnce` is asked first.
   */
  constructor(onFound: () => void, findAtOnce: FindAtOnce = () => null) {
    this.#onFound = onFound;
    this.#findAtOnce = findAtOnce;
  }

  /** Whether modules are being loaded: no call starts before they are there. */
  get isLoading(): boolean {
    return this.#loading > 0;
  }

  /** For values that hold functions, or errors of the program's classes. */
  readonly decoding: DecodeContext = {
    functionOf: (id) => {
      const found = this.find(id);
      if (found instanceof FunctionError) throw found;
      return found.fn;
    },
    classFor: (reference) => functions()?.classes.classOnWorker(reference) ?? null,
    sharedOf: (id) => this.sharedOf(id),
  };

  /**
   * A function was sent, in a program whose main script is `main`. `onLoading` is called before any
   * module is loaded. Where a call `holdsThread` none could be: a function of a module that is
   * there is found at once.
   */
  define(frame: Frame, main: string, holdsThread: boolean, onLoading: () => void): void {
    const definition = decodeAt(frame, this.decoding) as FunctionDefinition;
    const { id, reference, label } = definition;
    const known: Known = { label, reference, mayNest: null, found: this.#findAtOnce(definition) };
    this.#known.set(id, known);
    if (holdsThread && known.found === null && !this.isLoading) {
      known.found = functions()?.loaded.resolveLoaded(reference) ?? null;
    }
    if (known.found !== null) return;
    this.#loading++;
    onLoading();
    void this.#load(known, reference, main);
  }

  async #load(known: Known, reference: FunctionReference, main: string): Promise<void> {
    let found: Resolved | FunctionError;
    try {
      await loadFunctions();
      found = await functions()!.resolve.resolveFunction(reference, main);
    } catch (error) {
      found = error instanceof FunctionError ? error : unfound(known.label, error);
    }
    guarded(() => {
      known.found = found;
      this.#loading--;
      this.#onFound();
    });
  }

  /** No unbegun call names these, nor will one before they are sent anew. */
  forget(frame: Frame): void {
    for (const id of decodeAt(frame, this.decoding) as number[]) {
      const found = this.#known.get(id)?.found;
      this.#known.delete(id);
      if (found && !(found instanceof FunctionError) && found.inline !== null) {
        functions()!.lines.forgetInline(found.inline.id);
      }
    }
  }

  find(id: number): Resolved | FunctionError {
    return (
      this.#known.get(id)?.found ??
      new FunctionError(`Cannot find function ${id} on this worker: it was never sent there`)
    );
  }

  /** Whether a function may submit tasks, in a program whose main script is `main`. */
  mayNest(id: number, main: string): boolean {
    const known = this.#known.get(id);
    if (known === undefined) return false;
    const { mentions } = functions() ?? {};
    known.mayNest ??= mentions?.mayAskForPool(known.reference, main) ?? false;
    return known.mayNest;
  }

  /** For messages: the name of a function; empty where it was never sent. */
  labelOf(id: number): string {
    return this.#known.get(id)?.label ?? "";
  }
}

function unfound(label: string, error: unknown): FunctionError {
  let text = "something that cannot be shown";
  try {
    text = String(error);
  } catch {
    // It throws, and its error throws as well.
  }
  return new FunctionError(`Cannot find ${label} on this worker: ${text}`, { cause: error });
}
