import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { pause, until } from "../lab/deadline.ts";
import type { BmcInterface } from "../lab/qemu.ts";
import { type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** As in the specification's own counts: two commands for each of ipmi_sim's 63 user IDs, and thirty more. */
const firstEnrolmentCommands = 2 * 63 + 30;
const knownMachineCommands = 4;

const throughDriver = ["isa-ipmi-bt", "pci-ipmi-kcs", "pci-ipmi-bt", "smbus-ipmi"] as const satisfies BmcInterface[];
type Name = "bare" | "booting" | (typeof throughDriver)[number];

/** The init, when the driver has loaded and found no BMC. */
const missed = "names a BMC, but the kernel finds none; it may be booting";

/** BMCs that answer everything with a code of their own until the driver has missed them, and a little longer. */
const bootingBmcs = [
  { name: "booting", code: CompletionCode.initializing },
  { name: "isa-ipmi-bt", code: CompletionCode.unspecified },
  { name: "smbus-ipmi", code: CompletionCode.timeout },
] as const;

/** The driver is loaded again every five seconds. */
const bootsOnMs = 7_000;

const withoutDriver = "rivet.ipmi_driver=0";

const stack = new AsyncDisposableStack();
let site: Site<Name>;
const boots = new Map<string, Boot>();
const transports = new Map<string, string>();

beforeAll(async () => {
  const others = Object.fromEntries(throughDriver.map((each) => [each, { bmcInterface: each }]));
  const specs = { bare: {}, booting: {}, ...others } as Record<Name, { bmcInterface?: BmcInterface }>;
  site = stack.use(await openSite(specs));
  const enrol = async (name: Name, args = "", what: string = name) => {
    const ended = await boot(site, name, { args });
    boots.set(what, ended);
    if (!["linked", "recognised"].includes(ended.outcome)) return;
    transports.set(what, (await rowOf(site, site.machines[name].truth.bmcMac)).facts?.transport ?? "");
  };
  // Two lanes: as many virtual machines at a time as a small machine has cores.
  const first = async () => {
    await enrol("bare", withoutDriver);
    await enrol("bare", `${withoutDriver} rivet.kcs=io:0xca2,spacing=1`, "bare again");
    await enrol("bare", "rivet.kcs=io:0xca2,spacing=1", "bare with driver");
    await enrol("bare", `${withoutDriver} rivet.kcs=io:0xe00 rivet.bmc_limit=4`, "nobody");
    await enrol("pci-ipmi-bt");
  };
  const second = async () => {
    for (const { name, code } of bootingBmcs) {
      const { proxy } = bmcOf(name);
      proxy.refusal = code;
      const answers = once(name, missed, async () => {
        await pause(bootsOnMs);
        proxy.refusal = undefined;
      });
      await Promise.all([enrol(name), answers]);
    }
    // A stopped process is as silent as a BMC can be.
    const pid = bmcOf("pci-ipmi-kcs").sim.child?.pid;
    if (pid === undefined) throw new Error("the BMC is no process of its own");
    process.kill(pid, "SIGSTOP");
    const wakes = once("pci-ipmi-kcs", missed, async () => process.kill(pid, "SIGCONT"));
    await Promise.all([enrol("pci-ipmi-kcs"), wakes]);
  };
  await Promise.all([first(), second()]);
}, 600_000);
afterAll(() => stack.disposeAsync());

function bmcOf(name: Name): NonNullable<Site<Name>["machines"][Name]["bmc"]> {
  const { bmc } = site.machines[name];
  if (bmc === undefined) throw new Error(`${name} has no BMC`);
  return bmc;
}

/** Does `work` when the machine says `words`. */
async function once(name: Name, words: string, work: () => Promise<unknown>): Promise<void> {
  const { console } = site.machines[name];
  const said = () => console.lines.some((line) => line.includes(words));
  try {
    await until(`${name} to say "${words}"`, 120_000, said, { everyMs: 100 });
  } finally {
    await work();
  }
}

const seen = (what: string): Boot => {
  const found = boots.get(what);
  if (found === undefined) throw new Error(`${what} did not boot`);
  return found;
};

const notes = (what: string): string =>
  seen(what)
    .told.map((told) => ("text" in told ? told.text : ""))
    .join("\n");

describe("raw KCS over /dev/port, without the kernel's driver", () => {
  test("enrols at the ports that SMBIOS names, within the usual number of commands", () => {
    const { outcome, exitCode, text, commands } = seen("bare");
    expect([outcome, exitCode], text).toEqual(["linked", 0]);
    expect(transports.get("bare")).toBe("kcs:0xca2");
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.length).toBeLessThanOrEqual(firstEnrolmentCommands);
    expect(notes("bare")).toContain("IPMI drivers are left out");
  });

  test("knows the machine at the ports that rivet.kcs names", () => {
    const { outcome, exitCode, text, commands } = seen("bare again");
    expect([outcome, exitCode], text).toEqual(["recognised", 0]);
    expect(commands.length).toBeLessThanOrEqual(knownMachineCommands);
  });

  test("the driver takes the same key", () => {
    const { outcome, exitCode, text } = seen("bare with driver");
    expect([outcome, exitCode], text).toEqual(["recognised", 0]);
    // The row tells the way of the run that was proved; a known machine tells its own on the console.
    expect(seen("bare with driver").told).toContainEqual(
      expect.objectContaining({ task: "load IPMI drivers", detail: expect.stringContaining("ipmi_si") }),
    );
    expect(notes("bare with driver")).not.toMatch(/left out|the kernel f/);
  });

  test("nobody at the ports: locked, with every way that was tried", () => {
    const { outcome, exitCode, text } = seen("nobody");
    expect([outcome, exitCode], text).toEqual(["locked", 0]);
    expect(text).toContain("kcs:0xe00: nobody answers at its ports (status FFh for 2 s)");
    expect(text).toContain("/dev/ipmi0: ");
    expect(seen("nobody").commands).toEqual([]);
  });
});

describe("the kernel's driver", () => {
  test.each(throughDriver)("%s: enrols", async (name) => {
    const { outcome, exitCode, text, commands } = seen(name);
    expect([outcome, exitCode], text).toEqual(["linked", 0]);
    expect(transports.get(name)).toBe("openipmi:/dev/ipmi0");
    expect(commands.length).toBeLessThanOrEqual(firstEnrolmentCommands);
    const row = await rowOf(site, site.machines[name].truth.bmcMac);
    expect(row.state).toBe(State.STATE_LINKED);
  });

  test.each([
    ["answers D2h over KCS until then", "booting", "SMBIOS"],
    ["answers FFh over BT until then", "isa-ipmi-bt", "SMBIOS"],
    ["answers C3h over SSIF until then", "smbus-ipmi", "SMBIOS"],
    ["says nothing until then, and stands on PCI only", "pci-ipmi-kcs", "PCI"],
  ] as const)("looks again for a BMC that %s", (_, name, namedBy) => {
    const { outcome, exitCode, text } = seen(name);
    expect([outcome, exitCode], text).toEqual(["linked", 0]);
    expect(notes(name)).toContain(`${namedBy} ${missed}`);
  });
});
