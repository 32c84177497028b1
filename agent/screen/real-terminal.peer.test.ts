import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** util-linux' script(1) makes the terminal. */
test("keys come one by one, a shell may have the terminal for a while, and the program ends when it gives it up", async () => {
  const program = `${process.execPath} --disable-warning=ExperimentalWarning agent/screen/terminal-program.fixture.ts "$(tty)"`;
  const child = spawn("script", ["-qefc", program, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  let shown = "";
  child.stdout.on("data", (bytes: Buffer) => {
    shown += bytes.toString("utf8");
  });
  const shows = (text: string) => expect.poll(() => shown, { timeout: 20_000 }).toContain(text);
  await shows("ready");
  child.stdin.write("r");
  await shows("typed r\r\n");
  child.stdin.write("s");
  await shows("Leave the shell by exit.");
  child.stdin.write("echo $((40 + 2)) of the shell\n");
  await shows("42 of the shell");
  child.stdin.write("exit\n");
  await shows("mine again");
  child.stdin.write("x");
  await shows("typed x\r\n");
  child.stdin.write("q");
  expect((await ended)[0]).toBe(0);
});
