import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { probeSticksAgain } from "./probe-again.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "metal-rivet-sys-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const driver = "sys/bus/usb/drivers/usb-storage";
const delay = "sys/module/usb_storage/parameters/delay_use";
const said = (path: string) => readFileSync(join(root, path), "latin1");
function write(path: string, text = ""): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

test("a stick without a disk is bound anew, with a second to settle, and no other one", () => {
  write(delay, "0");
  for (const file of ["bind", "unbind", "new_id"]) write(`${driver}/${file}`);
  write(`${driver}/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sda/size`);
  write(`${driver}/1-2:1.0/host3/target3:0:0/3:0:0:0/model`);
  probeSticksAgain(root);
  expect(said(delay)).toBe("1");
  expect([said(`${driver}/unbind`), said(`${driver}/bind`)]).toEqual(["1-2:1.0", "1-2:1.0"]);
});

test("where each stick has its disk none is touched", () => {
  for (const file of ["bind", "unbind"]) write(`${driver}/${file}`);
  write(`${driver}/1-1.4:1.0/host2/target2:0:0/2:0:0:0/block/sda/size`);
  probeSticksAgain(root);
  expect([said(`${driver}/unbind`), said(`${driver}/bind`)]).toEqual(["", ""]);
});

test("without such a driver nothing happens", () => {
  expect(() => probeSticksAgain(root)).not.toThrow();
});
