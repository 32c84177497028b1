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
  return filesBelow(directory, except).flatMap((file) =>
    formIn(secrets, readFileSync(file)).map((form) => `${relative(directory, file)}: ${form}`),
  );
}

/** Those of the texts that hold a secret, by what they are. @param texts names by content */
export function textsHolding(secrets: Secrets, texts: ReadonlyMap<string, string>): Find[] {
  return [...texts].flatMap(([text, name]) =>
    formIn(secrets, Buffer.from(text, "latin1")).map((form) => `${name}: ${form}`),
  );
}

/** Those of the values that hold a secret anywhere: errors with their causes, messages, lines of a log. */
export function valuesHolding(secrets: Secrets, values: Readonly<Record<string, unknown>>): Find[] {
  return Object.entries(values).flatMap(([name, value]) =>
    formIn(secrets, Buffer.from(textOf(value))).map((form) => `${name}: ${form}`),
  );
}

type Secrets = string | readonly string[];

/** The form in which one of the secrets is there, if any is. */
function formIn(secrets: Secrets, content: Buffer): string[] {
  const squeezed = Buffer.from(content.toString("latin1").replace(/[\s:]+/g, ""), "latin1");
  const found = [secrets]
    .flat()
    .flatMap(formsOf)
    .find((form) => (form.squeezed ? squeezed : content).includes(form.bytes));
  return found === undefined ? [] : [found.name];
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
