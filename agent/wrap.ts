const columns = 80;

/** Lines of at most `width` columns, broken at spaces; longer words stay whole. `first` and `rest` begin the lines. */
export function wrap(text: string, first = "", rest = "  ", width = columns): string[] {
  const lines: string[] = [];
  let start = first;
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && start.length + line.length + 1 + word.length > width) {
        lines.push(start + line);
        start = rest;
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(start + line);
    start = rest;
  }
  return lines;
}
