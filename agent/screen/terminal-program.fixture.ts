/** For a test: says what is typed on the terminal that it is given, lends it to a shell for "s", and ends for "q". */
import { openTerminal } from "./real-terminal.ts";
import { runShell } from "./shell.ts";

const [, , path = ""] = process.argv;
const terminal = openTerminal(path, false);
terminal.write("ready\n");
terminal.listen((text) => {
  terminal.write(`typed ${text}\n`);
  if (text === "s") void terminal.lend(() => runShell(path)).then(() => terminal.write("mine again\n"));
  if (text === "q") terminal.release();
});
