import { type ProgressStream, say } from "./progress-options.ts";

/** Columns of a terminal that does not say how many it has. */
const COLUMNS = 80;

/** One line of a terminal that is drawn again and again. */
export interface Bar {
  draw(): void;
  /** `text` takes its place, and stays. */
  end(text: string): void;
}

type Text = (columns: number) => string;

const all = new WeakMap<ProgressStream, Bars>();

/**
 * The bars of one terminal, each on a line of its own, the oldest first. Every drawing begins where
 * the last one did: the cursor stays at the end of the last line, and is never hidden, so that a
 * program may end at any moment.
 */
export class Bars {
  readonly #stream: ProgressStream;
  readonly #texts = new Set<Text>();
  /** Lines that are on the terminal. */
  #drawn = 0;

  private constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  static on(stream: ProgressStream): Bars {
    let bars = all.get(stream);
    if (bars === undefined) all.set(stream, (bars = new Bars(stream)));
    return bars;
  }

  add(text: Text): Bar {
    this.#texts.add(text);
    this.#draw();
    return {
      draw: () => this.#draw(),
      end: (last) => {
        this.#texts.delete(text);
        this.#draw(last);
      },
    };
  }

  /** Draws all, under a line that stays. */
  #draw(above?: string): void {
    const columns = Math.max(20, (this.#stream.columns || COLUMNS) - 1);
    const lines = [...this.#texts].map((text) => text(columns));
    const up = this.#drawn > 1 ? `\u001b[${this.#drawn - 1}A` : "";
    const head = above === undefined ? "" : `${above}\u001b[K\n`;
    // What is left below of a drawing with more lines is cleared.
    const body = lines.map((line) => `${line}\u001b[K`).join("\n");
    const rest = lines.length < this.#drawn ? "\u001b[J" : "";
    say(this.#stream, `\r${up}${head}${body}${rest}`);
    this.#drawn = lines.length;
  }
}
