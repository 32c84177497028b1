import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { ConfigError, systemReason } from "../config-error.ts";

/** Keys of the agent's document that say nothing secret; single values. */
export type DocumentKeys = Readonly<Record<string, string | number | boolean>>;

/** What the boot server tells itself, and what nobody tells whoever asks. */
const notHere = ["service", "ca", "token", "cert", "key"];

/**
 * Reads the site's part of the document that every machine gets. Keys and values are the agent's business.
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
    if (notHere.includes(key)) {
      throw fail(
        `${key} cannot stand there: this document is given to every machine that asks; service, CA and token come from bmc-service`,
      );
    }
    if (!["string", "number", "boolean"].includes(typeof value)) throw fail(`${key}: must have a single value`);
  }
  return read as DocumentKeys;
}

/** The document as the agent reads it soonest: JSON, which is YAML as well. */
export function bootDocument(keys: DocumentKeys): string {
  return `${JSON.stringify(keys, undefined, 2)}\n`;
}
