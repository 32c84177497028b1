import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { letKernelSpeak, quietKernel } from "./kernel-messages.ts";

test("only emergencies, and in the end the levels that were before", () => {
  const folder = mkdtempSync(join(tmpdir(), "rivet-printk-"));
  try {
    const path = join(folder, "printk");
    quietKernel(path);
    letKernelSpeak(path);
    writeFileSync(path, "4\t4\t1\t7\n");
    quietKernel(path);
    expect(readFileSync(path, "latin1")).toMatch(/^1\b/);
    quietKernel(path);
    letKernelSpeak(path);
    expect(readFileSync(path, "latin1")).toBe("4\t4\t1\t7\n");
    writeFileSync(path, "untouched");
    letKernelSpeak(path);
    expect(readFileSync(path, "latin1")).toBe("untouched");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
