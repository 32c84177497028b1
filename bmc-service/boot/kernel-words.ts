import { parseKernelCommandLine } from "../../proto/kernel-words.ts";
import { wordKeyProblem } from "./key-problem.ts";

/** What x86 keeps of a kernel command line, without the zero at its end. */
export const mostCommandLineBytes = 2_047;

/**
 * The root in memory may have all of the memory. The kernel's default, tmpfs, takes half, which in 384 MB is too little to unpack
 * our ramdisk. It is the kernel's own word, so that it does no harm to other ramdisks.
 */
const wholeMemory = "rootfstype=ramfs";

/** Stands for what comes behind the site's words. */
const lastWord = "rivet.config";

/**
 * Why words cannot stand on the command lines of a site; undefined if they can. iPXE would take `${...}` for a variable and some of
 * the other characters for its own, pixiecore `{{...}}`; what the agent refuses, each machine would end with.
 */
export function wordsProblem(words: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(words)) return "it is not one line of ASCII text";
  const bad = ["${", "{{", "||", "&&", "#", "'", "\\"].find((each) => words.includes(each));
  if (bad !== undefined) return `it has ${bad}, which boot loaders read in another way`;
  if (parseKernelCommandLine(`${words} ${lastWord}`).at(-1)?.name !== lastWord) {
    return 'it has -- or a quote that is not closed ("): the words of bmc-service behind it would not be read';
  }
  return wordKeyProblem(words);
}

export interface CommandLine {
  /** The site's own words. */
  readonly words: string;
  /** URL of the document. */
  readonly document: string;
  /** SHA-256 of the site's CA, hexadecimal. */
  readonly caSha256: string;
  /** Good for one enrolment; undefined: the document has it. */
  readonly token?: string;
}

/** The kernel command line of a machine. Of secrets it has a token for one enrolment at most. */
export function commandLine({ words, document, caSha256, token }: CommandLine): string {
  const memory = /(^|\s)rootfstype=/.test(words) ? "" : wholeMemory;
  const parts = [words.trim(), memory, `rivet.config=${document}`, `rivet.ca_sha256=${caSha256}`];
  if (token !== undefined) parts.push(`rivet.token=${token}`);
  return parts.filter((part) => part !== "").join(" ");
}
