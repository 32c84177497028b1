import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { accountsOf, boot, openSite } from "./site.ts";

/** Where `bytes` lie in a machine's memory. */
function placesOf(bytes: Buffer, memory: Buffer): number[] {
  const places: number[] = [];
  for (let at = memory.indexOf(bytes); at >= 0; at = memory.indexOf(bytes, at + 1)) places.push(at);
  return places;
}

/**
 * The kernel's IPMI driver does not wipe its messages: `struct ipmi_smi_msg` has a pointer, which begins with FFFFh in the kernel,
 * then the message: network function and command, here of a later and shorter one, two bytes of data, and the rest of the password's.
 */
const isInDriver = (place: number, memory: Buffer): boolean => memory.readUInt16LE(place - 6) === 0xffff;

test("after the run the machine's whole memory holds the password nowhere but in the kernel's IPMI driver", async () => {
  const directory = mkdtempSync(join(tmpdir(), "memory-"));
  using stack = new DisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true }));
  const memoryFile = join(directory, "memory");
  await using site = await openSite({ one: { memoryMib: 384, memoryFile } });
  const machine = site.machines.one;
  const { exitCode, text } = await boot(site, "one", { stayOn: true });
  expect(exitCode, text).toBe(0);
  const memory = readFileSync(memoryFile);
  await machine.powerOff();

  const [account] = await accountsOf(site, machine.truth.bmcMac);
  const { userName = "", password = "" } = account ?? {};
  expect(password.length).toBeGreaterThanOrEqual(16);
  // It is the memory of that run, and strings are found in it.
  expect(placesOf(Buffer.from(userName), memory)).not.toEqual([]);
  const outside = placesOf(Buffer.from(password), memory).filter((place) => !isInDriver(place, memory));
  expect(outside.map((place) => memory.toString("hex", place - 64, place + 32))).toEqual([]);
  for (const form of [Buffer.from(password, "utf16le"), Buffer.from(btoa(password).slice(0, 20))]) {
    expect(placesOf(form, memory)).toEqual([]);
  }
});
