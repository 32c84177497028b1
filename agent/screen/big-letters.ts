/**
 * Letters of 5x7 dots, two dots above each other in one character: four lines high. The half blocks are in the font of every
 * VGA card and of Linux' text console (code page 437: DFh, DCh, DBh).
 */
const dots: Readonly<Record<string, string>> = {
  A: ".###. #...# #...# ##### #...# #...# #...#",
  B: "####. #...# #...# ####. #...# #...# ####.",
  C: ".###. #...# #.... #.... #.... #...# .###.",
  D: "####. #...# #...# #...# #...# #...# ####.",
  E: "##### #.... #.... ####. #.... #.... #####",
  F: "##### #.... #.... ####. #.... #.... #....",
  G: ".###. #...# #.... #.### #...# #...# .###.",
  H: "#...# #...# #...# ##### #...# #...# #...#",
  I: ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###.",
  J: "..### ...#. ...#. ...#. ...#. #..#. .##..",
  K: "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
  L: "#.... #.... #.... #.... #.... #.... #####",
  M: "#...# ##.## #.#.# #.#.# #...# #...# #...#",
  N: "#...# ##..# #.#.# #.#.# #..## #...# #...#",
  O: ".###. #...# #...# #...# #...# #...# .###.",
  P: "####. #...# #...# ####. #.... #.... #....",
  Q: ".###. #...# #...# #...# #.#.# #..#. .##.#",
  R: "####. #...# #...# ####. #.#.. #..#. #...#",
  S: ".#### #.... #.... .###. ....# ....# ####.",
  T: "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
  U: "#...# #...# #...# #...# #...# #...# .###.",
  V: "#...# #...# #...# #...# #...# .#.#. ..#..",
  W: "#...# #...# #...# #.#.# #.#.# ##.## #...#",
  X: "#...# #...# .#.#. ..#.. .#.#. #...# #...#",
  Y: "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..",
  Z: "##### ....# ...#. ..#.. .#... #.... #####",
  " ": ". . . . . . .",
};

export const bigLetterLines = 4;

/** Two dots as one character. */
export const halfBlock = (upper: boolean, lower: boolean): string =>
  upper ? (lower ? "\u2588" : "\u2580") : lower ? "\u2584" : " ";

/** The text in four lines. @throws Error for anything but capital letters and blanks */
export function bigLetters(text: string): string[] {
  const letters = [...text].map((letter) => {
    const drawn = dots[letter];
    if (drawn === undefined) throw new Error(`there is no big letter ${JSON.stringify(letter)}`);
    return drawn.split(" ");
  });
  const dotRow = (row: number): string => letters.map((letter) => letter[row] ?? "").join(".");
  return Array.from({ length: bigLetterLines }, (_, line) => {
    const [upper, lower] = [dotRow(2 * line), dotRow(2 * line + 1)];
    return [...upper].map((dot, at) => halfBlock(dot === "#", lower[at] === "#")).join("");
  });
}
