import { type KeyName, kernelKeyOf, keys } from "../../proto/agent-keys.ts";
import { isKeyWord, isPixieApiUrl, keyOfWord, parseKernelCommandLine } from "../../proto/kernel-words.ts";
import { ConfigError, quoted } from "./config-error.ts";

/** x86 keeps 2,048 bytes with the terminating zero: include/asm/setup.h, COMMAND_LINE_SIZE. What is longer was cut. */
export const kernelCommandLineBytes = 2047;

export const kernelSource = "kernel command line";

export interface KernelKeys {
  /** Values of `rivet.` keys by the name of the key; a switch without "=" has "1". */
  readonly values: ReadonlyMap<KeyName, string>;
  /** metal-stack's `PIXIE_API_URL`. */
  readonly pixieApiUrl: string | undefined;
  /** The kernel's own `ip=`, as they stand, in their order. */
  readonly ips: readonly string[];
  /** Remarks for people: nothing that stops the run. */
  readonly remarks: readonly string[];
}

/**
 * Reads the keys of this program off the kernel command line (/proc/cmdline, as bytes).
 * Throws ConfigError for an unknown `rivet.` key, one given twice, one without its value, bytes that are not printable
 * ASCII in one of them, and a last key that the kernel may have cut.
 */
export function readKernelKeys(bytes: Uint8Array): KernelKeys {
  const text = Buffer.from(bytes)
    .toString("latin1")
    .replace(/[\n\0]+$/, "");
  const remarks: string[] = [];
  const values = new Map<KeyName, string>();
  let pixieApiUrl: string | undefined;
  const ips: string[] = [];
  const parameters = parseKernelCommandLine(text);
  const full = text.length >= kernelCommandLineBytes;
  if (full) remarks.push(`${kernelSource}: ${text.length} bytes, as long as x86 keeps; what came after is lost`);
  if (/[^\x20-\x7e\t\n]/.test(text)) remarks.push(`${kernelSource}: holds bytes that are not text`);

  for (const [index, { name, value }] of parameters.entries()) {
    if (name === "PIXIE_API_URL" && value) {
      if (!isPixieApiUrl(value)) {
        throw new ConfigError(kernelSource, name, `${quoted(value)} is not an http:// or https:// URL`);
      }
      pixieApiUrl = value;
    }
    if (name === "ip" && value) ips.push(value);
    if (!isKeyWord(name)) continue;
    if (full && index === parameters.length - 1) {
      throw new ConfigError(
        kernelSource,
        quoted(name),
        `is the last of ${text.length} bytes and may be cut off; x86 keeps ${kernelCommandLineBytes}: put it into the document of rivet.config=URL`,
      );
    }
    const key = keyOfWord(name);
    if (!key) {
      const known = keys.map((each) => kernelKeyOf(each)).join(", ");
      throw new ConfigError(kernelSource, quoted(name), `unknown key; known are ${known}`);
    }
    if (values.has(key.name)) throw new ConfigError(kernelSource, kernelKeyOf(key), "is given twice");
    if (value === undefined && key.type.kind !== "switch") {
      throw new ConfigError(kernelSource, kernelKeyOf(key), `needs a value: ${kernelKeyOf(key)}=${key.placeholder}`);
    }
    const given = value ?? "1";
    if (/[^\x20-\x7e]/.test(given)) {
      const shown = key.secret ? "[hidden]" : quoted(given);
      throw new ConfigError(kernelSource, kernelKeyOf(key), `${shown} holds bytes that are not text`);
    }
    values.set(key.name, given);
  }
  return { values, pixieApiUrl, ips, remarks };
}
