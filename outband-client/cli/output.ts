import Table from "cli-table3";
import { stringify } from "yaml";
import { type Document, flatten } from "./document.ts";

/** Columns without borders, three spaces apart, as in MEP-15. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = "";
  const chars = {
    top: none,
    "top-mid": none,
    "top-left": none,
    "top-right": none,
    bottom: none,
    "bottom-mid": none,
    "bottom-left": none,
    "bottom-right": none,
    left: none,
    "left-mid": none,
    mid: none,
    "mid-mid": none,
    right: none,
    "right-mid": none,
    middle: "   ",
  };
  const style = { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true };
  const made = new Table({ head: [...head], chars, style });
  made.push(...rows.map((row) => [...row]));
  return lines(made.toString());
}

/** Key and value on one line each. */
export function pairs(document: Document): string {
  return table(["KEY", "VALUE"], flatten(document));
}

/** One YAML document. Texts that YAML 1.1 would take for numbers, times or truth values are quoted, as Go's writers do. */
export function yamlDocument(content: Document | readonly Document[]): string {
  return `---\n${stringify(content, { schema: "yaml-1.1", lineWidth: 0, indentSeq: false })}`;
}

/** Indented JSON. */
export function jsonDocument(content: Document | readonly Document[]): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

function lines(text: string): string {
  return text
    .split("\n")
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
