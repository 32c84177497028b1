import { expect, test } from "vitest";
import { grubScript } from "./bios-boot.ts";

const sections = [
  { name: ".initrd", offset: 1024, fileBytes: 4096 },
  { name: ".linux", offset: 5120, fileBytes: 512 },
];

test("GRUB reads kernel and ramdisk out of the image, by sectors", () => {
  expect(grubScript(sections, "/EFI/BOOT/BOOTX64.EFI", "quiet rivet.stick=1").split("\n")).toEqual([
    "loopback uki /EFI/BOOT/BOOTX64.EFI",
    "linux (uki)10+1 quiet rivet.stick=1",
    "initrd (uki)2+8",
    "boot",
    "",
  ]);
});

test("an image without ramdisk, and one whose sections are not sectors, are errors", () => {
  expect(() => grubScript(sections.slice(1), "/x", "quiet")).toThrow(/no section \.initrd/);
  const shifted = sections.map((section) => ({ ...section, offset: section.offset + 4 }));
  expect(() => grubScript(shifted, "/x", "quiet")).toThrow(/does not begin and end with a sector/);
});

test("a command line that GRUB would read otherwise is an error", () => {
  expect(() => grubScript(sections, "/x", "a=$b")).toThrow(/GRUB would change/);
});
