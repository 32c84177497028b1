import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { newSite } from "./fixture/service.ts";

const noWarning = "--disable-warning=ExperimentalWarning";

test("memory that is closed can be dumped no more, and a process says of itself that it is", async () => {
  const program = `
    import { dlopen } from "node:ffi";
    import { closeMemory } from ${JSON.stringify(join(import.meta.dirname, "closed-memory.ts"))};
    const { prctl } = dlopen("libc.so.6", { prctl: { arguments: ["int32"], return: "int32" } }).functions;
    const getDumpable = 3;
    console.log(prctl(getDumpable), closeMemory() ?? "closed", prctl(getDumpable));`;
  const { stdout } = await execa(process.execPath, [noWarning, "--input-type=module", "-e", program]);
  expect(stdout).toBe("1 closed 0");
});

test("the service closes its memory before it reads its key", async () => {
  using site = await newSite();
  const where = ["--listen", "127.0.0.1:0", "--data", site.data, "--pki", site.pki];
  const child = spawn(process.execPath, [noWarning, join(import.meta.dirname, "main.ts"), "serve", ...where]);
  const ended = once(child, "exit");
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  try {
    for await (const data of child.stdout) if (String(data).includes("listening")) break;
    expect(readFileSync(`/proc/${child.pid}/limits`, "latin1")).toMatch(/^Max core file size +0 +0 /m);
    expect(said).toBe("");
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
});
