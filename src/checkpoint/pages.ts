/**
 * Rows of a file without keys by their place, read ahead in pages: items are asked for in order,
 * and a query for each would take ten times as long. Large values are not read ahead.
 */
import type { Statement } from "bun:sqlite";

export interface PlacedRow {
  readonly item: string;
  readonly digest: number;
  readonly value: Uint8Array;
}

type PageRow = [position: number, item: string, digest: number, value: Uint8Array | null];

const ROWS = 256;
const MOST_VALUE_BYTES = 16 * 1024;

/** For the statement of `Pages`: rows from a position on. */
export const PAGE =
  `SELECT position, item, digest, iif(length(value) <= ${MOST_VALUE_BYTES}, value, NULL) ` +
  `FROM results WHERE position >= ? ORDER BY position LIMIT ${ROWS}`;

/** For the other one: one value. */
export const VALUE = "SELECT value FROM results WHERE position = ?";

export class Pages {
  readonly #select: Statement;
  readonly #selectValue: Statement;
  #rows: PageRow[] = [];
  /** The row to be compared next. */
  #next = 0;
  /** The positions that the page tells of, its gaps included; the second is not among them. */
  #from = 0;
  #to = 0;

  constructor(select: Statement, selectValue: Statement) {
    this.#select = select;
    this.#selectValue = selectValue;
  }

  at(position: number): PlacedRow | null {
    if (position < this.#from || position >= this.#to) this.#load(position);
    // A step back loads the page again.
    this.#from = position;
    let row = this.#rows[this.#next];
    while (row !== undefined && row[0] < position) row = this.#rows[++this.#next];
    if (row === undefined || row[0] > position) return null;
    const [, item, digest, value] = row;
    return { item, digest, value: value ?? this.#value(position) };
  }

  #load(position: number): void {
    // Bun's types do not know the columns of a statement.
    this.#rows = this.#select.values(position) as unknown as PageRow[];
    this.#next = 0;
    this.#from = position;
    this.#to = this.#rows.length < ROWS ? Infinity : this.#rows.at(-1)![0] + 1;
  }

  #value(position: number): Uint8Array {
    return (this.#selectValue.get(position) as { value: Uint8Array }).value;
  }
}
