import type { Key } from "./keys.ts";
import { columns, rows } from "./model.ts";

/** A long text, page by page; lines that are too long go on below. */
export class Pager {
  readonly #lines: readonly string[];
  #top = 0;

  constructor(text: string) {
    // What others say must not steer a terminal.
    const plain = text.replace(/[^\n\u0020-\u007e]/g, "?").trimEnd();
    this.#lines = plain.split("\n").flatMap((line) => line.match(/.{1,80}/g) ?? [""]);
  }

  /** 25 lines: the last one says where one is, and what the keys do. */
  page(): string[] {
    const shown = this.#lines.slice(this.#top, this.#top + pageLines);
    const end = this.#top + shown.length;
    const where = ` lines ${this.#top + 1} to ${end} of ${this.#lines.length}`;
    const keys = `${end < this.#lines.length ? "SPACE next page  " : ""}${this.#top > 0 ? "B page back  " : ""}Q close `;
    return [
      ...Array.from({ length: pageLines }, (_, at) => shown[at] ?? ""),
      `${where.padEnd(columns - keys.length)}${keys}`,
    ];
  }

  /** @returns whether it stays open */
  press(key: Key): boolean {
    if (key === "next page" && this.#top + pageLines < this.#lines.length) this.#top += pageLines;
    if (key === "page back") this.#top = Math.max(0, this.#top - pageLines);
    return key !== "close";
  }
}

const pageLines = rows - 1;
