import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt } from "../lab/artifacts.ts";

/** What is done once before all files of the project "vm". @throws Error with the end of the build's log */
export default async function build(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "rivet-vm-"));
  try {
    await ensureBuilt(join(directory, "build.log"));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
