import { findKey, type Key, type KeyName, keys, mostNtpServers, ntpServerForm } from "../../proto/agent-keys.ts";
import { ConfigError, quoted } from "./config-error.ts";
import { readPlainJson } from "./plain-json.ts";

/** A document holds three PEM texts and some lines; more is a mistake (an image, an HTML page, a log). */
export const maxDocumentBytes = 256 * 1024;

export interface DocumentKeys {
  readonly values: ReadonlyMap<KeyName, string>;
  /** "pixie" when it was the answer of pixie's /certs. */
  readonly form: "rivet" | "pixie";
}

/** What a syntax error means, by the code of the yaml package: its own messages may quote the text, which holds a key. */
const syntaxErrors: Readonly<Record<string, string>> = {
  BAD_ALIAS: "an alias (*name) without its anchor",
  BAD_DIRECTIVE: "an unknown % directive",
  BAD_DQ_ESCAPE: "an invalid escape in a double-quoted text",
  BAD_INDENT: "wrong indentation, or a quote or bracket before it is not closed",
  BAD_SCALAR_START: "a text that begins with a reserved character; quote it",
  BLOCK_AS_IMPLICIT_KEY: "a mapping where a key or value is expected; is a quote missing?",
  MISSING_CHAR: "a missing quote, colon, comma or bracket",
  MULTILINE_IMPLICIT_KEY: "a key that runs over several lines",
  MULTIPLE_DOCS: "more than one document",
  TAB_AS_INDENT: "a tab as indentation; use spaces",
  UNEXPECTED_TOKEN: "something that does not belong here",
};

/** How pixie's /certs names our keys; it is known by having `ca_cert`. */
const pixieNames: Readonly<Record<string, KeyName>> = {
  address: "service",
  ca_cert: "ca",
  cert: "cert",
  key: "key",
  ntp_servers: "ntp",
};

/**
 * Reads a document: JSON or YAML with our keys, or pixie's /certs.
 * `source` names it in errors: "document /etc/metal-rivet/config.yaml".
 * Throws ConfigError with line and column for bad syntax, an unknown or doubled key, and a value that is not a scalar.
 */
export async function readDocument(bytes: Uint8Array, source: string): Promise<DocumentKeys> {
  if (bytes.length > maxDocumentBytes) {
    throw new ConfigError(source, "document", `${bytes.length} bytes, more than ${maxDocumentBytes}`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigError(source, "document", "is not UTF-8 text", { cause });
  }
  const plain = readPlainJson(text);
  if (plain !== undefined) return { values: plain, form: "rivet" };
  const { isMap, isScalar, isSeq, LineCounter, parseDocument } = await import("yaml");
  const lineCounter = new LineCounter();
  const parsed = withinTheStack(source, () =>
    // Not its own search for doubled keys, which compares each with all before it.
    parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, strict: true }),
  );
  const at = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const [error] = parsed.errors;
  if (error) {
    const meaning = syntaxErrors[error.code] ?? error.code.toLowerCase().replaceAll("_", " ");
    throw new ConfigError(source, at(error.pos[0]), `neither JSON nor YAML: ${meaning}`);
  }
  if (parsed.contents === null) throw new ConfigError(source, "document", "is empty, or holds comments (#) only");
  if (!isMap(parsed.contents)) {
    throw new ConfigError(source, at(0), "must be a mapping of keys to values (service: HOST:PORT ...)");
  }
  const seen = new Set<string>();
  const entries = parsed.contents.items.map((pair) => {
    const key = isScalar(pair.key) ? { name: String(pair.key.value), at: pair.key.range?.[0] ?? 0 } : undefined;
    if (!key) throw new ConfigError(source, at(0), "has a key that is not a plain text");
    if (seen.has(key.name)) throw new ConfigError(source, at(key.at), "neither JSON nor YAML: a key given twice");
    seen.add(key.name);
    return { ...key, value: pair.value };
  });

  const isPixie = entries.some(({ name }) => name === "ca_cert");
  const values = new Map<KeyName, string>();
  for (const { name, at: offset, value } of entries) {
    // pixie's answer has keys for other programs, and may get more of them
    if (isPixie && !Object.hasOwn(pixieNames, name)) continue;
    const key: (Key & { name: KeyName }) | undefined = findKey(isPixie ? (pixieNames[name] ?? name) : name);
    if (!key || key.notInDocument) {
      const known = keys.filter((each: Key) => !each.notInDocument).map((each) => each.name);
      throw new ConfigError(source, at(offset), `unknown key ${quoted(name)}; known are ${known.join(", ")}`);
    }
    if (isPixie && key.name === "ntp") {
      const servers = isSeq(value) ? value.items.map((each) => (isScalar(each) ? String(each.value) : "")) : [];
      const usable = usableNtpServers(servers);
      if (usable !== "") values.set("ntp", usable);
      continue;
    }
    if (!isScalar(value) || value.value === null) {
      throw new ConfigError(source, at(offset), `${name}: must have a single value, not a list, mapping or nothing`);
    }
    values.set(key.name, typeof value.value === "string" ? value.value : (value.source ?? String(value.value)));
  }
  return { values, form: isPixie ? "pixie" : "rivet" };
}

/** pixie's list is for other programs as well: what we could not ask is no reason to stop. */
function usableNtpServers(servers: readonly string[]): string {
  return servers
    .filter((each) => ntpServerForm.test(each))
    .slice(0, mostNtpServers)
    .join(",");
}

/** The yaml package calls itself once for each level: lists in lists in lists, some thousands deep, overflow the stack. */
function withinTheStack<T>(source: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ConfigError(source, "document", "is nested too deeply; a mapping of keys to values is expected");
  }
}
