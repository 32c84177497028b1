import { findKey, type Key, type KeyName } from "./agent-keys.ts";

export interface KernelParameter {
  readonly name: string;
  /** undefined where there is no "=". */
  readonly value: string | undefined;
}

/**
 * Splits as the kernel does (lib/cmdline.c, next_arg): white space separates, double quotes protect it, quotes around the
 * whole parameter or around its value are dropped, and `--` ends the kernel's parameters.
 */
export function parseKernelCommandLine(text: string): KernelParameter[] {
  const parameters: KernelParameter[] = [];
  let at = 0;
  while (at < text.length) {
    if (isSpace(text, at)) {
      at++;
      continue;
    }
    const start = at;
    let equals = -1;
    let quotedNow = false;
    for (; at < text.length && (quotedNow || !isSpace(text, at)); at++) {
      if (text[at] === '"') quotedNow = !quotedNow;
      else if (text[at] === "=" && equals < 0) equals = at;
    }
    let name = text.slice(start, equals < 0 ? at : equals);
    let value = equals < 0 ? undefined : text.slice(equals + 1, at);
    if (name.startsWith('"')) {
      name = name.slice(1);
      if (value === undefined) name = name.replace(/"$/, "");
      else value = value.replace(/"$/, "");
    } else if (value?.startsWith('"')) {
      value = value.slice(1).replace(/"$/, "");
    }
    if (name === "--" && value === undefined) break;
    parameters.push({ name, value });
  }
  return parameters;
}

/** The kernel's isspace: space, tab, line feed, vertical tab, form feed, carriage return, no-break space of Latin-1. */
const isSpace = (text: string, at: number): boolean => /[ \t\n\v\f\r\xa0]/.test(text[at] ?? "");

/** Whether a parameter is the agent's, or looks as if it was meant to be. */
export const isKeyWord = (name: string): boolean => /^rivet(?![a-z0-9])/i.test(name);

/** The key of a parameter: "rivet.service_limit", also with hyphens; undefined: there is none of that name. */
export const keyOfWord = (name: string): (Key & { name: KeyName }) | undefined =>
  name.startsWith("rivet.") ? findKey(name.slice(6).replaceAll("-", "_")) : undefined;

/** Whether metal-stack's `PIXIE_API_URL` can be asked. */
export const isPixieApiUrl = (value: string): boolean => /^https?:\/\/[\x21-\x7e]+$/.test(value) && URL.canParse(value);
