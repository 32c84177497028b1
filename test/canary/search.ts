import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { inspect } from "node:util";
import { formsOf } from "./secret-forms.ts";

/** Where a secret was found, and in which form: "service.log: base64". */
export type Find = string;

/**
 * Looks for secrets in every file below a directory.
 * @param except directory names that are left out
 */
export function filesHolding(secrets: Secrets, directory: string, except: readonly string[] = []): Find[] {
  const files = filesBelow(directory, except);
  return holding(
    secrets,
    files.map((file) => [relative(directory, file), () => readFileSync(file)]),
  );
}

/** Those of the texts that hold a secret, by what they are. @param texts names by content */
export function textsHolding(secrets: Secrets, texts: ReadonlyMap<string, string>): Find[] {
  return holding(
    secrets,
    [...texts].map(([text, name]) => [name, () => Buffer.from(text, "latin1")]),
  );
}

/** Those of the values that hold a secret anywhere: errors with their causes, messages, lines of a log. */
export function valuesHolding(secrets: Secrets, values: Readonly<Record<string, unknown>>): Find[] {
  return holding(
    secrets,
    Object.entries(values).map(([name, value]) => [name, () => Buffer.from(textOf(value))]),
  );
}

type Secrets = string | readonly string[];
type Place = readonly [name: string, content: () => Buffer];

/** Of each place the first form in which a secret lies there. */
function holding(secrets: Secrets, places: readonly Place[]): Find[] {
  const forms = [secrets].flat().flatMap(formsOf);
  return places.flatMap(([name, read]) => {
    const content = read();
    const squeezed = Buffer.from(content.toString("latin1").replace(/[\s:]+/g, ""), "latin1");
    const found = forms.find((form) => (form.squeezed ? squeezed : content).includes(form.bytes));
    return found === undefined ? [] : [`${name}: ${found.name}`];
  });
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const shown = inspect(value, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null });
  return `${shown}\n${value instanceof Error ? value.stack : ""}`;
}

function filesBelow(directory: string, except: readonly string[]): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return except.includes(entry.name) ? [] : filesBelow(path, except);
    return entry.isFile() ? [path] : [];
  });
}
