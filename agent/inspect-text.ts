import Table from "cli-table3";
import type { Document, DocumentValue } from "./inspect-document.ts";

/** The document for people: sections of "key  value", lists of alike things as tables without lines. */
export function inspectText(document: Document): string {
  const lines: string[] = [];
  const top: [string, DocumentValue][] = [];
  const sections: [string, DocumentValue][] = [];
  for (const [key, value] of Object.entries(document)) (isPlain(value) ? top : sections).push([key, value]);
  lines.push(...pairs(top, ""));
  if (!("bmc" in document)) {
    lines.push("", "BMC", "  none found");
  }
  for (const [key, value] of sections) lines.push("", title(key), ...block(value, "  "));
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

const abbreviations = new Set(["bmc", "bios", "uuid", "fru", "ip", "mac", "smbios"]);
const title = (key: string): string =>
  key
    .split("_")
    .map((word, index) => (abbreviations.has(word) ? word.toUpperCase() : index === 0 ? capital(word) : word))
    .join(" ");
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const spaced = (key: string): string => key.replaceAll("_", " ");

const isPlain = (value: DocumentValue): value is string | number | boolean | null =>
  value === null || typeof value !== "object";

/** What others say (a FRU, a user's name) must not steer a terminal. */
const shown = (value: string | number | boolean | null): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");

function pairs(entries: readonly (readonly [string, DocumentValue])[], indentation: string): string[] {
  const width = Math.max(0, ...entries.map(([key]) => key.length));
  return entries.map(([key, value]) => {
    const values = isPlain(value) ? [value] : (value as readonly (string | number | boolean | null)[]);
    const text = values.length === 0 ? "none" : values.map(shown).join(", ");
    return `${indentation}${spaced(key).padEnd(width)}  ${text}`;
  });
}

const isListOfPlain = (value: DocumentValue): boolean => Array.isArray(value) && value.every((each) => isPlain(each));

function block(value: DocumentValue, indentation: string): string[] {
  if (isPlain(value)) return [indentation + shown(value)];
  if (Array.isArray(value)) return list(value as readonly DocumentValue[], indentation);
  const entries = Object.entries(value as Document);
  // sentences get a line each, short lists stay beside their key
  const isShort = ([key, each]: readonly [string, DocumentValue]): boolean =>
    isPlain(each) || (isListOfPlain(each) && key !== "findings" && key !== "gaps");
  const lines = pairs(entries.filter(isShort), indentation);
  for (const entry of entries.filter((each) => !isShort(each))) {
    lines.push(`${indentation}${spaced(entry[0])}:`, ...block(entry[1], `${indentation}  `));
  }
  return lines;
}

function list(values: readonly DocumentValue[], indentation: string): string[] {
  if (values.length === 0) return [`${indentation}none`];
  if (values.every((each) => isPlain(each))) return values.map((each) => `${indentation}- ${shown(each)}`);
  const documents = values.filter((each): each is Document => !isPlain(each) && !Array.isArray(each));
  const isFlat = documents.length === values.length && documents.every((each) => Object.values(each).every(isPlain));
  if (!isFlat) return values.flatMap((each) => [`${indentation}-`, ...block(each, `${indentation}  `)]);
  const columns = [...new Set(documents.flatMap((each) => Object.keys(each)))];
  const table = new Table({
    chars: Object.fromEntries(
      [
        ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
        ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
      ].map((name) => [name, ""]),
    ),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    head: columns.map(heading),
  });
  table.options.chars.middle = "  ";
  for (const each of documents) table.push(columns.map((key) => cell(each[key])));
  return table
    .toString()
    .split("\n")
    .map((line) => indentation + line);
}

/** A word a line: a table of a BMC's users has to fit 80 columns. */
const heading = (key: string): string => key.replace("authentication", "auth.").replaceAll("_", "\n").toUpperCase();

const cell = (value: DocumentValue | undefined): string => (value === undefined || !isPlain(value) ? "" : shown(value));
