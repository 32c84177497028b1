import { type Tags, visit, Document as YamlDocument } from "yaml";
import { type Document, flatten } from "./document.ts";
import type { OutputFormat } from "./settings.ts";

/**
 * Columns without borders, three spaces apart, as in MEP-15.
 * By hand rather than by cli-table3, which takes seconds for the 10,000 rows of a data centre.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title) => widthOf(title));
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  }
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)));
    return `${padded.join("   ").trimEnd()}\n`;
  };
  return [head, ...rows].map(line).join("");
}

/** Key and value on one line each. */
export function pairs(document: Document): string {
  return table(["KEY", "VALUE"], flatten(document));
}

/** The text of an answer in the form that was asked for. Tables are for people and may tell less. */
export function rendered(
  output: OutputFormat,
  { asDocument, asTable }: { asDocument: () => Document | readonly Document[]; asTable: () => string },
): string {
  switch (output) {
    case "table":
      return asTable();
    case "yaml":
      return yamlDocument(asDocument());
    case "json":
      return jsonDocument(asDocument());
    default:
      return output satisfies never;
  }
}

/** One YAML document. Texts that YAML 1.1 would take for numbers, times or truth values are quoted, as Go's writers do; so are its two signs with a meaning of their own, which other parsers refuse otherwise. */
export function yamlDocument(content: Document | readonly Document[]): string {
  const document = new YamlDocument(content, { schema: "yaml-1.1", customTags: withoutMerge });
  visit(document, {
    Scalar(_key, node) {
      if (node.value === "=" || node.value === "<<") node.type = "QUOTE_DOUBLE";
    },
  });
  return `---\n${document.toString({ lineWidth: 0, indentSeq: false })}`;
}

/** The merge key would be written bare even where it is a text. */
function withoutMerge(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:merge");
}

/** Indented JSON. */
export function jsonDocument(content: Document | readonly Document[]): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

function widthOf(cell: string): number {
  // To take a text apart takes much longer than to see that there is no need.
  return /^[\x20-\x7e]*$/.test(cell) ? cell.length : [...cell].length;
}
