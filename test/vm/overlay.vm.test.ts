import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { parseAgentLine } from "../lab/agent-log.ts";
import { artifacts, ensureBuilt, repository } from "../lab/artifacts.ts";
import { makeDebianRamdisk } from "../lab/debian-ramdisk.ts";
import { fetching, runningAgain, withNetwork, writeForeignRamdisk } from "../lab/foreign-ramdisk.ts";
import { exitReason } from "../lab/machine.ts";
import { freeTcpPort } from "../lab/ports.ts";
import { hostAsSeenByVm } from "../lab/qemu.ts";
import { type Boot, type BootOptions, boot, openSite, rowOf, type Site } from "./site.ts";

type Name = "plain" | "online" | "debian";

const limitMs = 120_000;
const stack = new AsyncDisposableStack();
let site: Site<Name>;

/** What a machine told on its console: the agent's run, then what stands in each section of the programs after it. */
interface Seen {
  readonly run: Boot;
  readonly sections: ReadonlyMap<string, string>;
}

/** For Debian's ramdisk, `boot=here`: a root file system in memory, whose init tells what it finds. */
const rootInMemory = `mountroot() {
  mount -t tmpfs root "$rootmnt"
  mkdir "$rootmnt/bin" "$rootmnt/sbin" "$rootmnt/dev" "$rootmnt/proc" "$rootmnt/sys" "$rootmnt/run"
  cp /bin/busybox "$rootmnt/bin/busybox"
  cat > "$rootmnt/sbin/init" <<'END'
#!/bin/busybox sh
echo "== outcome"
/bin/busybox cat /run/metal-rivet/outcome.json
echo "== flags"
/bin/busybox cat /sys/class/net/*/flags
echo "== mounts"
/bin/busybox cat /proc/mounts
echo "== end"
/bin/busybox poweroff -f
END
  chmod 755 "$rootmnt/sbin/init"
}
`;

const hook = (name: string) => readFileSync(join(repository, "image/hooks/initramfs-tools", name), "utf8");

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-overlay-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  await ensureBuilt(join(directory, "build.log"));
  const foreign = join(directory, "foreign.img");
  writeForeignRamdisk(artifacts.overlay, foreign);
  const debian = join(directory, "debian.img");
  await makeDebianRamdisk({
    directory,
    output: debian,
    files: {
      "hooks/metal-rivet": hook("hook"),
      "scripts/init-premount/metal-rivet": hook("init-premount"),
      "scripts/here": rootInMemory,
      // No drivers but those that the hook asks for.
      "conf.d/metal-rivet": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n",
    },
    env: { METAL_RIVET: artifacts.metalRivet },
  });
  site = stack.use(
    await openSite({
      plain: { initramfs: foreign },
      online: { initramfs: foreign },
      debian: { initramfs: debian },
    }),
  );
});
afterAll(() => stack.disposeAsync());

/** Boots a machine to the end of what comes after the agent. */
async function see(name: Name, options: BootOptions): Promise<Seen> {
  const machine = site.machines[name];
  const run = await boot(site, name, { ...options, stayOn: true });
  const isEnd = (line: string) => (line.trim() === "== end" ? true : undefined);
  await machine.console.waitFor("the end of the next program", limitMs, isEnd, { ended: () => exitReason(machine) });
  await machine.powerOff();
  return { run, sections: sectionsOf(machine.console.lines) };
}

function sectionsOf(lines: readonly string[]): Map<string, string> {
  const sections = new Map<string, string>();
  let name = "";
  for (const line of lines) {
    if (line.startsWith("== ")) {
      name = line.slice(3).trim();
      sections.set(name, "");
    } else if (parseAgentLine(line) === undefined) {
      sections.set(name, `${sections.get(name) ?? ""}${line}\n`);
    }
  }
  return sections;
}

const outcomeOf = ({ sections }: Seen) => JSON.parse(sections.get("outcome") ?? "");

const linked = (name: Name) => ({
  outcome: "linked",
  exit_code: 0,
  uuid: site.machines[name].truth.uuid,
  bmc: { mac: site.machines[name].truth.bmcMac, address: site.machines[name].truth.bmcIp },
});

describe("the overlay in the ramdisk of an init like u-root's", () => {
  const work = "next.yaml";
  const fetchWork = () => {
    site.documents.put(work, { work: "wait" });
    return `${fetching}=${site.documents.urlOf(work)}`;
  };

  test("links the machine; the next program finds all as it was and the outcome, brings up its network, and calls the agent itself", async () => {
    const again = `${runningAgain}=${site.documents.urlOf("plain.yaml")}`;
    const seen = await see("plain", { args: `${fetchWork()} ${again}` });
    expect([seen.run.outcome, seen.run.exitCode], seen.run.text).toEqual(["linked", 0]);
    expect(await rowOf(site, site.machines.plain.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
    const { before, changed, fetched, "exit code": exitCode } = Object.fromEntries(seen.sections);
    expect(before).toContain("ipmi0");
    expect(before).toContain("eth0/flags:0x1002\n"); // IFF_BROADCAST and IFF_MULTICAST, not IFF_UP
    expect([exitCode, changed, fetched]).toEqual(["0\n", "", "work: wait\n"]);
    expect(outcomeOf(seen)).toMatchObject(linked("plain"));
    expect(seen.sections.get("exit code of run")).toBe("0\n");
    expect(JSON.parse(seen.sections.get("outcome of run") ?? "")).toMatchObject({
      ...linked("plain"),
      outcome: "recognised",
    });
  });

  test("ends at its limit where the service cannot be reached, says so, and leaves a network that was up", async () => {
    const service = `${hostAsSeenByVm}:${await freeTcpPort()}`;
    const args = `${withNetwork} ${fetchWork()} rivet.limit=10 rivet.then=wait rivet.tries=9`;
    const seen = await see("online", { args, config: { service } });
    expect(seen.run.exitCode, seen.run.text).toBe(75);
    const { before, changed, fetched, "exit code": exitCode } = Object.fromEntries(seen.sections);
    expect(before).toContain("10.0.2.15");
    expect([exitCode, changed, fetched]).toEqual(["75\n", "", "work: wait\n"]);
    expect(outcomeOf(seen)).toMatchObject({ outcome: "error", exit_code: 75, uuid: site.machines.online.truth.uuid });
    expect(outcomeOf(seen).text).toMatch(/^begin: BMC service .*refused.*; the run took longer than its limit of 10 s/);
  });
});

test("in Debian's own ramdisk, by the hook of initramfs-tools: the machine is linked, boots on, and its system finds the outcome", async () => {
  const seen = await see("debian", { args: "boot=here" });
  expect([seen.run.outcome, seen.run.exitCode], seen.run.text).toEqual(["linked", 0]);
  expect(await rowOf(site, site.machines.debian.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
  expect(outcomeOf(seen)).toMatchObject(linked("debian"));
  expect(seen.sections.get("mounts")).toMatch(/^root \/ tmpfs /m);
  // IFF_UP is bit 0: neither the adapter nor lo is left up.
  const flags = (seen.sections.get("flags") ?? "").trim().split("\n");
  expect(flags.length).toBeGreaterThan(1);
  expect(flags.map((each) => Number(each) & 1)).toEqual(flags.map(() => 0));
});
