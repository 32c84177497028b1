import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { pause } from "../lab/deadline.ts";
import { openVlanBridge, type VlanBridge } from "../lab/ethernet-bridge.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { hostAsSeenByVm6, qmp } from "../lab/qemu.ts";
import { boot, openSite, rowOf, type Site } from "./site.ts";

/** Ethernet cards by hand: QEMU's network back ends, and for each card the one behind it. */
function cards(backEnds: readonly string[], ...netdevs: readonly string[]): { nic: "none"; extraArgs: string[] } {
  return {
    nic: "none",
    extraArgs: [
      ...backEnds.flatMap((each) => ["-netdev", each]),
      ...netdevs.flatMap((netdev, index) => ["-device", `virtio-net-pci,id=nic${index},netdev=${netdev},romfile=`]),
    ],
  };
}

const vlan = 5;
const stack = new AsyncDisposableStack();
let site: Site<"ipv6" | "byHand" | "tagged" | "late">;
let bridge: VlanBridge;

beforeAll(async () => {
  const [ofMachine, qemuMachine, ofNetwork, qemuNetwork] = [
    await freeUdpPort(),
    await freeUdpPort(),
    await freeUdpPort(),
    await freeUdpPort(),
  ];
  bridge = stack.use(
    await openVlanBridge(vlan, { port: ofMachine, peer: qemuMachine }, { port: ofNetwork, peer: qemuNetwork }),
  );
  const wire = (id: string, ours: number, qemu: number) =>
    `socket,id=${id},udp=127.0.0.1:${ours},localaddr=127.0.0.1:${qemu}`;
  site = stack.use(
    await openSite({
      ipv6: cards(["user,id=n0,ipv4=off,ipv6=on,ipv6-prefix=fd00::,ipv6-host=fd00::2,ipv6-dns=fd00::3"], "n0"),
      byHand: cards(["user,id=n0,ipv6=off"], "n0"),
      tagged: cards(
        [
          ...["user,id=n0,ipv6=off", "hubport,id=h0,hubid=0,netdev=n0"],
          ...[wire("s0", ofNetwork, qemuNetwork), "hubport,id=h1,hubid=0,netdev=s0"],
          wire("tagged", ofMachine, qemuMachine),
        ],
        "tagged",
      ),
      // nobody behind the first one, one that never has link, one whose link comes late, one that gives an address and lets
      // nothing through
      late: cards(
        [...["hubport,id=n0,hubid=0", "user,id=n1,ipv6=off", "user,id=n2,ipv6=off"], "user,id=n3,ipv6=off,restrict=on"],
        ...["n0", "n1", "n2", "n3"],
      ),
    }),
  );
});
afterAll(() => stack.disposeAsync());

const notesOf = ({ told }: BootResult): string[] => told.flatMap((each) => ("text" in each ? [each.text] : []));

/** Our loopback of IPv6, on which nothing of the site listens, as a road to it. */
async function relay(port: number): Promise<number> {
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    for (const socket of [from, to]) socket.on("error", () => socket.destroy());
    from.pipe(to).pipe(from);
  });
  stack.defer(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("relay: listens without a port");
  return address.port;
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(":") + 1));

test("a network of IPv6 alone: document and service are reached, and the machine is linked", async () => {
  const service = `[${hostAsSeenByVm6}]:${await relay(portOf(site.service.address))}`;
  const documents = await relay(Number(new URL(site.documents.url).port));
  const args = `rivet.config=http://[${hostAsSeenByVm6}]:${documents}/ipv6.yaml`;
  const run = await boot(site, "ipv6", { config: { service }, withoutDocument: true, args });
  expect([run.outcome, run.exitCode], notesOf(run).join("\n")).toEqual(["linked", 0]);
  expect(await rowOf(site, site.machines.ipv6.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
});

test("an address by hand, in the kernel's own words", async () => {
  const run = await boot(site, "byHand", { args: "ip=10.0.2.77::10.0.2.2:255.255.255.0:node7:eth0:off:10.0.2.3" });
  expect([run.outcome, run.exitCode], notesOf(run).join("\n")).toEqual(["linked", 0]);
  const serial = readFileSync(join(site.machines.byHand.directory, "serial.log"), "latin1");
  expect(serial).toContain("eth0 10.0.2.77/24, gateway 10.0.2.2, DNS 10.0.2.3, for good from ip=");
});

test(`VLAN ${vlan}: frames are tagged, and what is not tagged goes nowhere`, async () => {
  const run = await boot(site, "tagged", { args: `rivet.vlan=${vlan}` });
  expect([run.outcome, run.exitCode], notesOf(run).join("\n")).toEqual(["linked", 0]);
  expect(readFileSync(join(site.machines.tagged.directory, "serial.log"), "latin1")).toContain(
    `eth0.${vlan} 10.0.2.15/24`,
  );
  expect(bridge.passed).toBeGreaterThan(20);
});

test("four adapters: one that leads nowhere, one without answers, one without link, and one whose link comes late", async () => {
  const machine = site.machines.late;
  const setLink = (id: string, state: "on" | "off") =>
    qmp(join(machine.directory, "qmp"), "human-monitor-command", { "command-line": `set_link ${id} ${state}` });
  const pullCables = async () => {
    while (!machine.isOn) await pause(20);
    await Promise.all([setLink("nic1", "off"), setLink("nic2", "off")]);
    // the one who reads the console is followBoot: here is only looked at what it has read
    while (!machine.console.lines.some((line) => line.includes("eth3 led to nobody"))) await pause(100);
    await pause(4_000);
    await setLink("nic2", "on");
  };
  const tries = async () => {
    const first = await boot(site, "late", { args: "rivet.service_limit=3", stayOn: true });
    const second = await followBoot(machine, { limitMs: 90_000 });
    await machine.powerOff();
    return [first, second] as const;
  };
  const [[first, second]] = await Promise.all([tries(), pullCables()]);
  const linksOf = (notes: readonly string[]) =>
    notes.filter((note) => note.includes("link is up")).map((note) => note.slice(0, 4));
  expect([first.exitCode, first.text], notesOf(first).join("\n")).toEqual([
    69,
    expect.stringContaining("not read within 3 s"),
  ]);
  expect(linksOf(notesOf(first))).toEqual(["eth0", "eth3"]);
  expect([second.outcome, second.exitCode], notesOf(second).join("\n")).toEqual(["linked", 0]);
  expect(linksOf(notesOf(second))).toEqual(["eth0", "eth3", "eth2"]);
});
