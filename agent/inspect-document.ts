/** Plain values as JSON and YAML have them. */
export type Document = { readonly [key: string]: DocumentValue };
export type DocumentValue = string | number | boolean | null | readonly DocumentValue[] | Document;

/**
 * Any findings as a document: keys in snake_case, nothing for undefined and empty texts, large numbers as numbers where
 * they are exact and as text otherwise, bytes in hexadecimal, dates in ISO 8601.
 */
export function documentOf(value: object): Document {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => {
      const plain = plainValue(each);
      return plain === undefined ? [] : [[snakeCase(key), plain]];
    }),
  );
}

const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function plainValue(value: unknown): DocumentValue | undefined {
  if (value === undefined || value === "") return undefined;
  if (value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string")
    return value;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.flatMap((each) => plainValue(each) ?? []);
  if (typeof value === "object") return documentOf(value);
  return String(value);
}
