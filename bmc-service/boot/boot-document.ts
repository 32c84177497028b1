import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { ConfigError, systemReason } from "../config-error.ts";
import { documentKeyProblem } from "./key-problem.ts";

/** Keys of the agent's document that say nothing secret; single values. */
export type DocumentKeys = Readonly<Record<string, string | number | boolean>>;

/**
 * Reads the site's part of the document that every machine gets, and holds it against what the agent knows.
 * @throws ConfigError
 */
export async function readSiteDocument(path: string): Promise<DocumentKeys> {
  const fail = (problem: string, cause?: unknown) => new ConfigError("--config", `${path}: ${problem}`, { cause });
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fail(systemReason(error), error);
  }
  let read: unknown;
  try {
    read = parse(text);
  } catch (error) {
    // The message quotes the text, which may hold what should not be there.
    const at = (error as { linePos?: readonly { line: number; col: number }[] }).linePos?.[0];
    throw fail(`neither JSON nor YAML${at === undefined ? "" : ` (line ${at.line}, column ${at.col})`}`);
  }
  if (read === null) return {};
  if (typeof read !== "object" || Array.isArray(read)) throw fail("must be a mapping of keys to values");
  for (const [key, value] of Object.entries(read)) {
    // What JSON has no number for comes as "null".
    const isSingle = ["string", "number", "boolean"].includes(typeof value) && JSON.stringify(value) !== "null";
    if (!isSingle) throw fail(`${key}: must have a single value`);
    const problem = documentKeyProblem(key, textOf(value as string | number | boolean));
    if (problem !== undefined) throw fail(problem);
  }
  return read as DocumentKeys;
}

/** A value as the agent has it from the document. */
export function textOf(value: string | number | boolean): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The document as the agent reads it soonest: JSON, which is YAML as well. */
export function bootDocument(keys: DocumentKeys): string {
  return `${JSON.stringify(keys, undefined, 2)}\n`;
}
