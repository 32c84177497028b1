/** What x86 keeps of a kernel command line, without the zero at its end. */
export const mostCommandLineBytes = 2_047;

/**
 * The root in memory may have all of the memory. The kernel's default, tmpfs, takes half, which in 384 MB is too little to unpack
 * our ramdisk. It is the kernel's own word, so that it does no harm to other ramdisks.
 */
const wholeMemory = "rootfstype=ramfs";

/** Keys that the boot server gives itself. */
const own = ["config", "token", "ca_sha256", "ca", "key", "cert", "service", "insecure_plaintext"];

/**
 * Why words cannot stand on the command lines of a site; undefined if they can. iPXE would take `${...}` for a variable and some of
 * the other characters for its own, pixiecore `{{...}}`.
 */
export function wordsProblem(words: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(words)) return "it is not one line of ASCII text";
  const bad = ["${", "{{", "||", "&&", "#", "'", "\\"].find((each) => words.includes(each));
  if (bad !== undefined) return `it has ${bad}, which boot loaders read in another way`;
  const key = own.find((each) => new RegExp(`(^|\\s)"?rivet\\.${each.replace("_", "[_-]")}(=|\\s|$)`).test(words));
  if (key !== undefined) return `rivet.${key} is not for every machine, or is given by bmc-service itself`;
  return undefined;
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
