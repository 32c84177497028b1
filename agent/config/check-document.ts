import type { KeyName } from "../../proto/agent-keys.ts";
import type { PemOrigin } from "./certificates.ts";
import { loadDocument, localSettings } from "./settings.ts";

/**
 * Whether the document in this file can be read and each of its values is allowed, certificates included. What is not in it may
 * come from elsewhere, so nothing is missing.
 * Returns a line for people. Throws ConfigError, with line and column where the text is wrong.
 */
export async function checkDocument(path: string): Promise<string> {
  const source = await loadDocument({ location: path, source: `document ${path}` }, () => {
    throw new Error("a document is checked in a file only");
  });
  localSettings([source]);
  const pem = (name: KeyName): PemOrigin | undefined => {
    const value = source.values.get(name);
    return value === undefined ? undefined : { source: source.name, option: name, value, inline: true };
  };
  const [ca, cert, key] = [pem("ca"), pem("cert"), pem("key")];
  if (ca ?? cert ?? key) {
    const { loadCredentials, readPem } = await import("./certificates.ts");
    for (const each of [ca, cert, key]) if (each !== undefined) await readPem(each);
    if (ca !== undefined) await loadCredentials(cert && key ? { ca, own: { cert, key } } : { ca });
  }
  return `document ${path}: good; it has ${[...source.values.keys()].join(", ")}\n`;
}
