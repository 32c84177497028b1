import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

// Made by `npm run image`, which `npm test` runs before this.
const folder = join(import.meta.dirname, "../dist/image");

test("the released ramdisk keeps its limits: 45 MB, 32 MB of it for the agent and its libraries", () => {
  const { initramfs } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const packed = new Map<string, number>(
    initramfs.parts.map(({ name, packed }: { name: string; packed: number }) => [name, packed]),
  );
  expect(initramfs.zstdLevel).toBe(19);
  expect(statSync(join(folder, "initramfs.img")).size).toBe(initramfs.bytes);
  expect(initramfs.bytes).toBeLessThanOrEqual(45e6);
  expect((packed.get("agent") ?? Number.NaN) + (packed.get("libraries") ?? Number.NaN)).toBeLessThanOrEqual(32e6);
});
