import {
  allowedValues,
  findKey,
  isAllowedValue,
  type Key,
  type KeyName,
  kernelKeyOf,
  keys,
  longestWatchedSeconds,
  switchValue,
} from "../../proto/agent-keys.ts";
import { isKeyWord, isPixieApiUrl, keyOfWord, parseKernelCommandLine } from "../../proto/kernel-words.ts";

/**
 * What the agent would refuse, told before machines boot with it: each of them would end with exit code 78. What `ip` says the agent
 * alone knows, and whether files and hosts that are named are there.
 */

/** Keys that the boot server gives itself, or that nobody gives to whoever asks. */
const notInDocument: readonly KeyName[] = ["service", "ca", "token", "cert", "key"];
const notOnCommandLine: readonly KeyName[] = [...notInDocument, "config", "ca_sha256", "insecure_plaintext"];

const listOf = (found: readonly Key[], spelled: (key: Key) => string): string => found.map(spelled).join(", ");

function valueProblem(key: Key, value: string): string | undefined {
  if (isAllowedValue(key, value)) return undefined;
  return `${key.secret ? "what it says" : JSON.stringify(value.slice(0, 60))} is not allowed; allowed: ${allowedValues(key.type)}`;
}

/** Keys of these words with their values, as the agent reads them. @param words that `wordKeyProblem` finds nothing wrong with */
export function keysInWords(words: string): Map<KeyName, string> {
  return new Map(
    parseKernelCommandLine(words).flatMap(({ name, value = "1" }) => {
      const key = keyOfWord(name);
      return key === undefined ? [] : [[key.name, value] as const];
    }),
  );
}

/** What is wrong with the agent's keys on a kernel command line; undefined: nothing. */
export function wordKeyProblem(words: string): string | undefined {
  const seen = new Set<KeyName>();
  for (const { name, value } of parseKernelCommandLine(words)) {
    if (name === "PIXIE_API_URL" && value && !isPixieApiUrl(value)) return `${name} is not an http:// or https:// URL`;
    if (!isKeyWord(name)) continue;
    const key = keyOfWord(name);
    if (key === undefined) {
      const known = keys.filter((each) => !notOnCommandLine.includes(each.name));
      return `${name} is no key of the agent; known are ${listOf(known, kernelKeyOf)}`;
    }
    const spelled = kernelKeyOf(key);
    if (notOnCommandLine.includes(key.name)) {
      return `${spelled} is not for every machine, or is given by bmc-service itself`;
    }
    if (seen.has(key.name)) return `${spelled} is given twice`;
    seen.add(key.name);
    if (value === undefined && key.type.kind !== "switch") return `${spelled} needs a value: ${key.placeholder}`;
    const problem = valueProblem(key, value ?? "1");
    if (problem !== undefined) return `${spelled}: ${problem}`;
  }
  return undefined;
}

/** What is wrong with a key of the document that every machine gets; undefined: nothing. @param value as text */
export function documentKeyProblem(name: string, value: string): string | undefined {
  const key: (Key & { name: KeyName }) | undefined = findKey(name);
  if (key !== undefined && notInDocument.includes(key.name)) {
    return `${name} cannot stand there: this document is given to every machine that asks; service, CA and token come from bmc-service`;
  }
  if (key === undefined || key.notInDocument) {
    const known = keys.filter(
      (each: Key & { name: KeyName }) => !each.notInDocument && !notInDocument.includes(each.name),
    );
    return `${name} is no key of the agent's document; known are ${listOf(known, (each) => each.name)}`;
  }
  const problem = valueProblem(key, value);
  return problem === undefined ? undefined : `${name}: ${problem}`;
}

/** Why the document cannot name this service; undefined: it can. */
export function serviceProblem(text: string): string | undefined {
  const key = findKey("service");
  return key && valueProblem(key, text);
}

/** What of these keys does not go together; undefined: nothing. @param values each of which is allowed */
export function togetherProblem(values: ReadonlyMap<KeyName, string>): string | undefined {
  if (switchValue(values.get("watchdog") ?? "") === true && Number(values.get("limit") ?? 0) > longestWatchedSeconds) {
    return `limit may be ${longestWatchedSeconds} s at most with watchdog, because the BMC counts down from 6553`;
  }
  const isStick = switchValue(values.get("stick") ?? "") === true;
  if (values.get("offline") === "1" && !(isStick && values.has("report_key"))) {
    return "offline=1 needs stick=1 and report_key";
  }
  return undefined;
}
