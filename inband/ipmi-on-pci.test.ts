import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ipmiOnPci } from "./ipmi-on-pci.ts";

test("IPMI interfaces by their class, and no other device", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rivet-pci-"));
  try {
    const classes = { "0000:00:05.0": "0x0c0702", "0000:00:01.0": "0x060100", "0000:00:04.0": "0x0c0701" };
    for (const [address, number] of Object.entries(classes)) {
      mkdirSync(join(folder, address));
      writeFileSync(join(folder, address, "class"), `${number}\n`);
    }
    expect(await ipmiOnPci(folder)).toEqual([
      { address: "0000:00:04.0", interfaceType: "KCS" },
      { address: "0000:00:05.0", interfaceType: "BT" },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a machine without PCI has none", async () => {
  expect(await ipmiOnPci("/nowhere/pci")).toEqual([]);
});
