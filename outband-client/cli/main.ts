import { bmcctl } from "./bmcctl.ts";

// A reader that has seen enough (`bmcctl ls | head -1`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const interrupt = new AbortController();
const signals = ["SIGINT", "SIGTERM"] as const;
let received: (typeof signals)[number] = "SIGINT";
for (const signal of signals) {
  process.once(signal, () => {
    received = signal;
    interrupt.abort();
  });
}

const { stdout, stderr, env } = process;
// Opened by the one command that reads it.
const stdin = {
  get isTTY() {
    return process.stdin.isTTY;
  },
  [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator](),
  destroy: () => process.stdin.destroy(),
};
const args = process.argv.slice(2);
// No await at the top: the program is built as CommonJS, which starts sooner.
void bmcctl({ args, env, stdin, stdout, stderr, interrupt: interrupt.signal }).then((code) => {
  // Dying by the signal itself is what a shell expects of a command that was interrupted before its end.
  if (code === "interrupted") process.kill(process.pid, received);
  else process.exitCode = code;
});
