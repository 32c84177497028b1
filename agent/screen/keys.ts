/** Keys of a terminal that the screen knows. */
export type Key =
  | "again"
  | "inspect"
  | "shell"
  | "power off"
  | "yes"
  | "no"
  | "continue"
  | "next page"
  | "page back"
  | "close";

const letters: Readonly<Record<string, Key>> = {
  r: "again",
  i: "inspect",
  s: "shell",
  p: "power off",
  y: "yes",
  n: "no",
  c: "continue",
  " ": "next page",
  "\r": "next page",
  "\n": "next page",
  b: "page back",
  q: "close",
};

/** What the cursor keys send: ECMA-48 §5.4, and xterm's application mode. */
const sequences: Readonly<Record<string, Key>> = {
  "\u001b[B": "next page",
  "\u001b[6~": "next page",
  "\u001b[A": "page back",
  "\u001b[5~": "page back",
};

/** The keys in what a terminal sent. A sequence that is not known, a mouse's for example, is skipped as a whole. */
export function keysIn(text: string): Key[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals send them
  const parts = text.match(/\u001b[[O][0-9;?]*[ -/]*[@-~]|[\s\S]/g) ?? [];
  return parts.flatMap((part) => sequences[part] ?? letters[part.toLowerCase()] ?? (part === "\u001b" ? "close" : []));
}
