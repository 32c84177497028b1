import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Asker, isAllowed, parseAllowRule } from "./allow.ts";

const now = new Date("2026-11-21T12:00:00Z");
const asker = (mac: string | undefined, from = "192.0.2.1"): Asker => ({ mac, from });
const allows = (rules: readonly string[], who: Asker) => isAllowed(rules.map(parseAllowRule), who, now);

describe("networks", () => {
  test.each([
    ["10.1.0.0/16", "10.1.255.255", true],
    ["10.1.0.0/16", "10.2.0.0", false],
    ["10.1.0.0/16,fd00::/8", "fd00::7", true],
    ["10.1.0.0/16,fd00::/8", "fe80::7", false],
    ["10.1.0.7", "10.1.0.7", true],
    ["10.1.0.7", "10.1.0.8", false],
    ["0.0.0.0/0", "fd00::7", false],
  ])("%s and %s: %s", async (rule, from, expected) => {
    expect(await allows([rule], asker(undefined, from))).toBe(expected);
  });

  test.each(["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "fd00::/129", "any", "leases:", "10.0.0.0/8,", "ALL"])(
    "%j is refused",
    (text) => {
      expect(() => parseAllowRule(text)).toThrow(RangeError);
    },
  );
});

describe("leases", () => {
  let directory: string;
  let file: string;
  const mac = "52:54:00:12:34:56";
  const line = (ends: number, address: string) => `${ends} ${mac} ${address} * *\n`;
  const later = now.getTime() / 1_000 + 60;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "leases-"));
    file = join(directory, "dnsmasq.leases");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("a machine with a lease, by its MAC address or the leased one", async () => {
    writeFileSync(file, line(later, "10.0.0.7"));
    expect(await allows([`leases:${file}`], asker(mac))).toBe(true);
    expect(await allows([`leases:${file}`], asker("52:54:00:12:34:57", "10.0.0.7"))).toBe(false);
    expect(await allows([`leases:${file}`], asker(undefined, "10.0.0.7"))).toBe(true);
    expect(await allows([`leases:${file}`], asker(undefined, "10.0.0.8"))).toBe(false);
  });

  test("one of DHCPv6 by its leased address, and no machine because neither has a MAC address", async () => {
    writeFileSync(file, `${later} 1193046 fd00::7 * 00:01:00:01:2c:5f:3e:8a:52:54:00:12:34:56\n`);
    expect(await allows([`leases:${file}`], asker(undefined, "fd00::7"))).toBe(true);
    expect(await allows([`leases:${file}`], asker(undefined, "fd00::8"))).toBe(false);
    expect(await allows([`leases:${file}`], asker(mac, "fd00::7"))).toBe(false);
  });

  test("not one whose lease is over", async () => {
    writeFileSync(file, line(now.getTime() / 1_000, "10.0.0.7"));
    expect(await allows([`leases:${file}`], asker(mac))).toBe(false);
  });

  test("the file is read again when it has changed", async () => {
    writeFileSync(file, "");
    const rule = parseAllowRule(`leases:${file}`);
    expect(await isAllowed([rule], asker(mac), now)).toBe(false);
    writeFileSync(file, line(later, "10.0.0.7"));
    expect(await isAllowed([rule], asker(mac), now)).toBe(true);
  });

  test("what Kea has put aside counts, and its main file has the last word", async () => {
    const head = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n";
    const lease = (state: number) => `10.0.0.7,${mac},,60,${later},1,0,0,,${state}\n`;
    writeFileSync(`${file}.2`, head + lease(0));
    writeFileSync(file, head);
    const rule = parseAllowRule(`leases:${file}`);
    expect(await isAllowed([rule], asker(mac), now)).toBe(true);
    appendFileSync(file, lease(2));
    expect(await isAllowed([rule], asker(mac), now)).toBe(false);
  });

  test("what never ends and what waits for a writer is no file of leases", async () => {
    execFileSync("mkfifo", [file]);
    const refused = { code: "lease-file", message: expect.stringContaining("it is no regular file") };
    await expect(allows([`leases:${file}`], asker(mac))).rejects.toMatchObject(refused);
    await expect(allows(["leases:/dev/zero"], asker(mac))).rejects.toMatchObject(refused);
  });

  test("a file that cannot be read is no empty one", async () => {
    await expect(allows([`leases:${file}`], asker(mac))).rejects.toThrow("there is no such file");
    await expect(allows([`leases:${directory}`], asker(mac))).rejects.toMatchObject({ code: "lease-file" });
    expect(await allows([`leases:${file}`, "192.0.2.0/24"], asker(mac))).toBe(true);
    await expect(allows([`leases:${file}`, "10.0.0.0/8"], asker(mac))).rejects.toMatchObject({ code: "lease-file" });
  });
});
