import { expect, test } from "vitest";
import { readLocalSources } from "../../configure.ts";
import type { Bound, NetworkOptions } from "./bring-up.ts";
import { MachineNetwork, type SetUpWorld } from "./set-up-network.ts";
import { staticLease } from "./static-address.ts";
import { NoVlansError } from "./vlan.ts";

/** A machine of two adapters. The first of them that did not lead nowhere gets the lease. */
function machine(change: Partial<SetUpWorld> = {}) {
  const told: string[] = [];
  const asked: NetworkOptions[] = [];
  const kept: AbortSignal[] = [];
  const world: SetUpWorld = {
    bringUpLoopback: () => undefined,
    isUp: () => false,
    getLease(options) {
      asked.push(options);
      const last = options.ledNowhere ?? [];
      const name = ["eth0", "eth1"].find((each) => !last.includes(each)) ?? last[0] ?? "";
      const nic = { name, index: 1, mac: "", macBytes: Buffer.alloc(6) };
      const lease = staticLease({ family: 4, address: "10.0.0.5", prefixLength: 24 }, 0);
      return Promise.resolve<Bound>({ adapter: nic, nic, ip: undefined, lease, ipv6: undefined });
    },
    applyLease({ nic }) {
      told.push(`apply ${nic.name}`);
      return [];
    },
    keepNetwork(_bound, _options, signal) {
      kept.push(signal);
      return new Promise(() => undefined);
    },
    takeAway: ({ nic }, vlan) => void told.push(`take away ${nic.name} ${vlan ?? ""}`.trim()),
    ...change,
  };
  const network = new MachineNetwork(world);
  const note = (text: string) => void told.push(text);
  const console = { note, problem: note, task: (name: string, _ms: number, text: string) => note(`${name}: ${text}`) };
  const setUp = (cmdline = "") => network.setUp(readLocalSources(new Map(), Buffer.from(cmdline)), console);
  return { told, asked, kept, setUp, giveUp: () => network.giveUp(console) };
}

test("a further try finds the network, unless the one before reached nobody: then other adapters are asked first", async () => {
  const { told, asked, kept, setUp, giveUp } = machine();
  await setUp();
  await setUp();
  expect(told).toEqual([
    "apply eth0",
    expect.stringContaining("network: eth0 10.0.0.5/24"),
    "network: was set up before",
  ]);
  giveUp();
  expect(kept[0]?.aborted).toBe(true);
  await setUp();
  expect(told.slice(3)).toEqual([
    "network: eth0 led to nobody: its address is given up; other adapters are taken first",
    "take away eth0",
    "apply eth1",
    expect.stringContaining("network: eth1 10.0.0.5/24"),
  ]);
  expect(kept[1]?.aborted).toBe(false);
  giveUp();
  await setUp();
  expect(asked.map(({ ledNowhere }) => ledNowhere)).toEqual([[], ["eth0"], ["eth0", "eth1"]]);
  expect(told).toContain("apply eth0");
});

test("a network of somebody else is not given up", async () => {
  const { told, setUp, giveUp } = machine({ isUp: () => true });
  await setUp();
  giveUp();
  expect(told).toEqual(["network: was set up before"]);
});

test("what an earlier try left is not taken for a network of somebody else", async () => {
  let isUp = false;
  const { told, setUp, giveUp } = machine({ isUp: () => isUp });
  await setUp();
  giveUp();
  isUp = true; // another adapter has an address that was of no use
  await setUp();
  expect(told).toContain("apply eth1");
});

test("a network that cannot be taken away is told, and asked anew", async () => {
  const { told, asked, setUp, giveUp } = machine({
    takeAway() {
      throw new Error("eth0: ENODEV");
    },
  });
  await setUp("rivet.vlan=5");
  giveUp();
  expect(told).toContain("network: eth0: ENODEV");
  await setUp();
  expect(asked.map(({ vlan }) => vlan)).toEqual([5, undefined]);
});

test("ip= of the kernel command line: all of them are asked for, and what does not count is told", async () => {
  const { told, asked, setUp } = machine();
  await setUp("ip=eth0:auto6 ip=eth0:dhcp ip=eth1:dhcp");
  expect(asked[0]?.ips?.map(({ device, method }) => `${device} ${method}`)).toEqual(["eth0 dhcp", "eth1 dhcp"]);
  expect(told[0]).toBe("kernel command line: ip=eth0:auto6 does not count: ip=eth0:dhcp comes after it");
  const off = machine();
  await off.setUp("ip=dhcp ip=off");
  expect([off.told.at(-1), off.asked]).toEqual(["the network stays down, as ip=off says", []]);
  await expect(machine().setUp("ip=dhcp ip=rarp")).rejects.toThrow('kernel command line: ip: "rarp" is not allowed');
});

test("a kernel without VLANs is told as a mistake of the configuration", async () => {
  const { setUp } = machine({ getLease: () => Promise.reject(new NoVlansError("VLAN 5 on eth0: no 8021q")) });
  await expect(setUp("rivet.vlan=5")).rejects.toThrow("kernel command line: vlan: VLAN 5 on eth0: no 8021q");
});
