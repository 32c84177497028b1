import { randomBytes } from "node:crypto";
import { sha256 } from "./sha256.ts";

/** A new enrolment token. */
export interface MadeToken {
  /** Secret; whoever has sent it wipes it. */
  readonly text: Buffer;
  readonly id: string;
  /** What is stored. The text has more randomness than can be tried, so that a plain hash is enough. */
  readonly hash: Buffer;
}

/** By which people and secret scanners know it. */
const prefix = "rvt_";
const randomLength = 24;
/** Of the text; 144 random bits remain that the identifier does not tell. */
const idCharacters = prefix.length + 12;

/** "rvt_" and 24 random bytes in hexadecimal: it needs no quotes on a kernel command line, in YAML or in a shell. */
export function makeToken(): MadeToken {
  const text = Buffer.from(`${prefix}${randomBytes(randomLength).toString("hex")}`);
  return { text, id: tokenId(text), hash: sha256(text) };
}

/** What a token is called: the beginning of its text. */
export function tokenId(text: Buffer): string {
  return text.toString("latin1", 0, idCharacters);
}
