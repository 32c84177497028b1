import { findKey, type Key, type KeyName } from "../../proto/agent-keys.ts";

/** A key and its single value, and what comes after it. */
const pair =
  /[ \t\r\n]*("(?:[^"\\\p{Cc}]|\\.)*")[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\\p{Cc}]|\\.)*"|-?\d[\d.eE+-]*|true|false)[ \t\r\n]*([,}])/uy;

/**
 * Reads a document that is one JSON object of our keys with single values, as the boot server gives it. The yaml package, which reads
 * all of JSON as well, costs 10 ms of processor time, and a quarter of a second under emulation.
 * @returns undefined for everything else, right or wrong: the other reader knows what to say
 */
export function readPlainJson(text: string): Map<KeyName, string> | undefined {
  pair.lastIndex = /^[ \t\r\n]*\{/.exec(text)?.[0].length ?? text.length;
  const values = new Map<KeyName, string>();
  for (;;) {
    const found = pair.exec(text);
    if (found === null) return undefined;
    const [, quotedName = "", value = "", end] = found;
    const name = parsed(quotedName);
    const key: (Key & { name: KeyName }) | undefined = name === undefined ? undefined : findKey(name);
    const said = value.startsWith('"') ? parsed(value) : value;
    if (key === undefined || key.notInDocument || said === undefined || values.has(key.name)) return undefined;
    values.set(key.name, said);
    if (end === "}") return /^[ \t\r\n]*$/.test(text.slice(pair.lastIndex)) ? values : undefined;
  }
}

function parsed(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted);
  } catch {
    return undefined;
  }
}
