import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Offer } from "./ask-as-firmware.ts";
import { describeWith, type ForeignProgram } from "./foreign-program.ts";

/** What docs/pixiecore.md has an operator put into the configuration of dnsmasq, tried with dnsmasq and Debian's iPXE. */
const page = readFileSync(join(import.meta.dirname, "../../docs/pixiecore.md"), "utf8");
const client = join(import.meta.dirname, "ask-as-firmware.ts");
const ipxeFolder = "/usr/lib/ipxe";
const script = "http://10.0.0.1:8080/boot.ipxe";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rivet-dnsmasq-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The block of dnsmasq's options in the section of that title. */
function block(title: string): string {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? "";
  const found = [...section.matchAll(/^```\n(dhcp-.*?)^```$/gms)].map(([, options]) => options);
  expect(found, `one block of dnsmasq under "${title}"`).toHaveLength(1);
  return found[0] ?? "";
}

/** What dnsmasq offers with these options, by the name of who asks. Two network namespaces have a wire between them. */
async function offers(options: string): Promise<Readonly<Record<string, Offer>>> {
  const file = join(folder, "dnsmasq.conf");
  writeFileSync(file, options);
  const dnsmasq = "dnsmasq --keep-in-foreground --port=0 --no-ping --leasefile-ro --pid-file --interface=veth1";
  const script = [
    "set -e",
    "mount -t tmpfs tmpfs /run; mkdir /run/netns; mount -t sysfs sysfs /sys",
    "ip netns add server; ip link add veth0 type veth peer name veth1 netns server",
    "ip netns exec server ip link set veth1 up; ip netns exec server ip addr add 10.0.0.1/24 dev veth1",
    "ip link set veth0 up; ip addr add 10.0.0.2/24 dev veth0; ip route add 255.255.255.255 dev veth0",
    `ip netns exec server ${dnsmasq} --conf-file=${file} & peer=$!`,
    // whoever asks before it listens is not heard
    "for i in $(seq 100); do ip netns exec server ss -lun | grep -q :67 && break; sleep 0.05; done",
    `${process.execPath} --disable-warning=ExperimentalWarning ${client} 10.0.0.1`,
    "kill $peer",
  ].join("\n");
  const inside = ["--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script];
  const { stdout } = await promisify(execFile)("unshare", inside, { timeout: 60_000, killSignal: "SIGKILL" });
  return JSON.parse(stdout);
}

const ofFile = (name: string): Offer => ({ file: name, bytes: statSync(join(ipxeFolder, name)).size });

const suite = () => {
  const byTftpAndIpxe = () => ({
    BIOS: ofFile("undionly.kpxe"),
    "UEFI 7": ofFile("ipxe.efi"),
    "UEFI 9": ofFile("ipxe.efi"),
    "UEFI arm64": {},
    "iPXE of BIOS": { file: script },
    "iPXE of UEFI 7": { file: script },
    "iPXE of UEFI 9": { file: script },
    "iPXE of arm64": {},
  });

  test("iPXE without pixiecore: each architecture gets the iPXE that it can run, and iPXE the script", async () => {
    expect(await offers(block("iPXE without pixiecore"))).toEqual({ ...byTftpAndIpxe(), HTTP: {}, "HTTP arm64": {} });
  });

  test("with the lines for UEFI HTTP boot behind them firmware of x64 gets the program, and the others what they got", async () => {
    const both = block("iPXE without pixiecore") + block("UEFI HTTP boot");
    expect(await offers(both)).toEqual({
      ...byTftpAndIpxe(),
      HTTP: { file: "http://10.0.0.1:8080/metal-rivet.efi", vendorClass: "HTTPClient" },
      "HTTP arm64": {},
    });
  });
};

const title = "dnsmasq as docs/pixiecore.md has it";
const programs: ForeignProgram = {
  name: "dnsmasq, or Debian's iPXE,",
  debianPackage: "dnsmasq-base ipxe",
  probe: ["/bin/sh", "-c", `command -v dnsmasq && test -e ${ipxeFolder}/ipxe.efi`],
};
const isRoot = process.getuid?.() === 0;
if (isRoot || process.env.CI) describeWith(programs, title, suite);
else describe.skip(`${title} (skipped: needs root for namespaces)`, suite);
