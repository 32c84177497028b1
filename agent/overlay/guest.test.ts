import { EventEmitter } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { NetworkInterfaceInfo } from "node:os";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readLocalSources, readSettings } from "../configure.ts";
import { openConsole } from "../console.ts";
import { explainFailure } from "../failure.ts";
import type { TimerCall } from "../init/libc-timer.ts";
import { hasAddress, hasIpv6Address, hasIpv6DefaultRoute } from "../init/network/is-network-up.ts";
import { StepError } from "../step.ts";
import { AsFound } from "./as-found.ts";
import { endOnBugs, endOnSignals } from "./early-end.ts";
import { mountMissing } from "./first-steps.ts";
import { isGuest } from "./guest-name.ts";
import { useKernelNameServers } from "./kernel-name-servers.ts";
import { LastResort } from "./last-resort.ts";
import { rememberNetwork } from "./network-as-found.ts";
import { outcomeDocument, writeOutcomeFile } from "./outcome-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rivet-guest-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ["/inito", true],
  ["inito", true],
  ["/init", false],
  ["/opt/rivet/bin/metal-rivet", false],
  ["/inito/metal-rivet", false],
])("started as %s: a guest: %s", (argv0, guest) => expect(isGuest(argv0)).toBe(guest));

describe("left as found", () => {
  test("the last change is undone first, and what fails does not keep the rest", () => {
    const done: string[] = [];
    const asFound = new AsFound();
    asFound.later("/proc", () => done.push("/proc"));
    asFound.later("/sys", () => {
      throw new Error("EBUSY");
    });
    asFound.later("/dev", () => done.push("/dev"));
    expect(asFound.putBack()).toEqual(["/sys is not as it was found: EBUSY"]);
    expect(done).toEqual(["/dev", "/proc"]);
    expect(asFound.putBack()).toEqual([]);
  });

  test("only what is missing is mounted, and goes with its folder", () => {
    mkdirSync(join(folder, "proc/self"), { recursive: true });
    mkdirSync(join(folder, "sys"));
    const mounted: string[] = [];
    const world = {
      root: folder,
      mount: (_: string, target: string) => mounted.push(target.slice(folder.length)),
      unmount: (target: string) => mounted.splice(mounted.indexOf(target.slice(folder.length)), 1),
    };
    const asFound = new AsFound();
    expect(mountMissing(asFound, world)).toEqual([]);
    expect(mounted).toEqual(["/sys", "/dev"]);
    expect(asFound.putBack()).toEqual([]);
    expect(mounted).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(["proc", "sys"]);
  });

  test("what cannot be mounted is told, and not unmounted", () => {
    const unmounted: string[] = [];
    const asFound = new AsFound();
    const refuse = () => {
      throw new Error("mount: EPERM");
    };
    const world = { root: folder, mount: refuse, unmount: (target: string) => unmounted.push(target) };
    expect(mountMissing(asFound, world)).toEqual(["mount: EPERM", "mount: EPERM", "mount: EPERM"]);
    expect(asFound.putBack()).toEqual([]);
    expect([unmounted, readdirSync(folder)]).toEqual([[], []]);
  });

  test("resolv.conf and hosts", () => {
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc/resolv.conf"), "nameserver 10.0.0.1\n");
    const asFound = new AsFound();
    rememberNetwork(asFound, folder);
    writeFileSync(join(folder, "etc/resolv.conf"), "nameserver 10.0.2.3\n");
    writeFileSync(join(folder, "etc/hosts"), "127.0.0.1 localhost\n");
    expect(asFound.putBack()).toEqual([]);
    expect(readFileSync(join(folder, "etc/resolv.conf"), "latin1")).toBe("nameserver 10.0.0.1\n");
    expect(existsSync(join(folder, "etc/hosts"))).toBe(false);
  });

  test("a resolv.conf that leads nowhere, and no folder for it", () => {
    const asFound = new AsFound();
    rememberNetwork(asFound, folder);
    mkdirSync(join(folder, "etc"));
    expect(asFound.putBack()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(join(folder, "etc"));
    symlinkSync("../stub", join(folder, "etc/resolv.conf"));
    rememberNetwork(asFound, folder);
    writeFileSync(join(folder, "etc/resolv.conf"), "nameserver 10.0.2.3\n");
    expect(asFound.putBack()).toEqual([]);
    expect([readdirSync(folder), readdirSync(join(folder, "etc"))]).toEqual([["etc"], ["resolv.conf"]]);
  });
});

describe("name servers of a network that the kernel brought up", () => {
  const resolver = () => readFileSync(join(folder, "etc/resolv.conf"), "latin1");
  const told = (...lines: string[]) => {
    mkdirSync(join(folder, "proc/net"), { recursive: true });
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "proc/net/pnp"), lines.map((line) => `${line}\n`).join(""));
  };

  test("are asked first, and the ramdisk's own file is put back", () => {
    told("#PROTO: DHCP", "domain site.example", "nameserver 10.7.0.1", "nameserver 10.7.0.2", "bootserver 10.7.0.9");
    writeFileSync(join(folder, "etc/resolv.conf"), "nameserver 8.8.8.8\n");
    const asFound = new AsFound();
    expect(useKernelNameServers(asFound, folder)).toEqual(["10.7.0.1", "10.7.0.2"]);
    expect(resolver()).toBe("search site.example\nnameserver 10.7.0.1\nnameserver 10.7.0.2\nnameserver 8.8.8.8\n");
    expect(asFound.putBack()).toEqual([]);
    expect(resolver()).toBe("nameserver 8.8.8.8\n");
  });

  test("are asked where there is no file, which is then gone again; what is no name is left out", () => {
    told("#PROTO: DHCP", "domain a b", "nameserver 10.7.0.1");
    const asFound = new AsFound();
    useKernelNameServers(asFound, folder);
    expect(resolver()).toBe("nameserver 10.7.0.1\n");
    expect(asFound.putBack()).toEqual([]);
    expect(existsSync(join(folder, "etc/resolv.conf"))).toBe(false);
  });

  test.each([
    ["the file names them already", ["#MANUAL", "nameserver 8.8.8.8"]],
    ["the kernel was told none", ["#PROTO: DHCP", "domain site.example"]],
  ])("change nothing where %s", (_, lines) => {
    told(...lines);
    writeFileSync(join(folder, "etc/resolv.conf"), "nameserver 9.9.9.9\nnameserver 8.8.8.8\n");
    expect(useKernelNameServers(new AsFound(), folder)).toEqual([]);
    expect(resolver()).toBe("nameserver 9.9.9.9\nnameserver 8.8.8.8\n");
  });
});

describe("a network is up", () => {
  test("if somebody gave an address of IPv4; link-local ones a machine makes itself", () => {
    const info = (family: "IPv4" | "IPv6", address: string, internal = false) =>
      ({ family, address, internal }) as NetworkInterfaceInfo;
    const own = [info("IPv4", "169.254.3.4"), info("IPv6", "fe80::1")];
    expect(hasAddress({ lo: [info("IPv4", "127.0.0.1", true)], eth0: own })).toBe(false);
    expect(hasAddress({ eth0: [...own, info("IPv4", "10.0.0.7")] })).toBe(true);
  });

  const own = `fe80000000000000505400fffe000010 02 40 20 80     eth0\n${"0".repeat(31)}1 01 80 10 80       lo\n`;
  test.each([
    ["link-local", "", false],
    ["by an advertisement", "40 00 00     eth0", false],
    ["for good", "40 00 80     eth0", true],
    ["for good, not proved yet", "40 00 c0     eth0", true],
    ["for good, of another machine", "40 00 c8     eth0", false],
    ["by DHCPv6", "80 00 00     eth0", true],
    ["of an adapter without link", "40 00 80     eth1", false],
    ["of lo", "80 00 80       lo", false],
  ])("an address of IPv6 %s", (_, rest, expected) => {
    const text = `${own}${rest && `fd070000000000000000000000000050 02 ${rest}\n`}`;
    expect(hasIpv6Address(["lo", "eth0"], text)).toBe(expected);
  });

  test.each([
    ["that refuses, which the kernel always has", "00", "00200200", false],
    ["by an advertisement", "00", "00450003", false],
    ["of somebody", "00", "00000003", true],
    ["to half of the addresses", "01", "00000003", false],
  ])("a default route of IPv6 %s", (_, length, flags, expected) => {
    const any = "0".repeat(32);
    const text = `${any} ${length} ${any} 00 ${any} 00000400 00000001 00000000 ${flags}     eth0\n`;
    expect(hasIpv6DefaultRoute(text)).toBe(expected);
  });
});

describe("the outcome for the next program", () => {
  const started = new Date(0);
  const bmc = { mac: "52:54:00:b1:00:01", address: "10.0.0.9", channel: 1, userName: "rivet7k2m9x0q4z", slot: 3 };
  const linked = { outcome: "linked", exitCode: 0, text: "Linked.", durationMs: 1, machineUuid: "u-1", bmc };

  test("of a run that linked", () => {
    expect(outcomeDocument(started, { ...linked, at: new Date(1000) })).toEqual({
      schema: 1,
      version: expect.any(String),
      uuid: "u-1",
      outcome: "linked",
      exit_code: 0,
      text: "Linked.",
      bmc: {
        mac: "52:54:00:b1:00:01",
        address: "10.0.0.9",
        channel: 1,
        user_name: "rivet7k2m9x0q4z",
        user_id: 3,
      },
      started: "1970-01-01T00:00:00.000Z",
      ended: "1970-01-01T00:00:01.000Z",
    });
  });

  test("of a locked BMC, a failure and a run under way", () => {
    const locked = { ...linked, outcome: "locked", bmc: { mac: "52:54:00:b1:00:01" }, at: started };
    expect(outcomeDocument(started, locked).bmc).toEqual({
      mac: "52:54:00:b1:00:01",
      address: "",
      channel: null,
      user_name: null,
      user_id: null,
    });
    const failed = { outcome: "error", exitCode: 69, text: "no service", durationMs: 1, at: started };
    expect(outcomeDocument(started, failed, "u-2")).toMatchObject({ uuid: "u-2", bmc: null, exit_code: 69 });
    expect(outcomeDocument(started, undefined)).toMatchObject({
      outcome: "unfinished",
      exit_code: 75,
      uuid: null,
      ended: null,
    });
  });

  test("is for its owner only, takes the place of an older one, and leaves nothing else", () => {
    const path = join(folder, "run/metal-rivet/outcome.json");
    writeOutcomeFile(path, outcomeDocument(started, undefined));
    writeOutcomeFile(path, outcomeDocument(started, { ...linked, at: started }));
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ outcome: "linked" });
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
    expect(readdirSync(join(folder, "run/metal-rivet"))).toEqual(["outcome.json"]);
  });

  test("does not follow a link that somebody laid there, and leaves no draft where it fails", () => {
    const path = join(folder, "outcome.json");
    writeFileSync(join(folder, "other"), "other");
    writeFileSync(path, "old");
    mkdirSync(join(folder, "taken.json"));
    expect(() => writeOutcomeFile(join(folder, "taken.json"), outcomeDocument(started, undefined))).toThrow();
    expect(readdirSync(folder).sort()).toEqual(["other", "outcome.json", "taken.json"]);
  });
});

describe("an early end", () => {
  const bugs = () => {
    const from = new EventEmitter();
    const ends = new AbortController();
    const ended: number[] = [];
    const said: string[] = [];
    endOnSignals(from, ends, (code) => ended.push(code));
    endOnBugs(from, ends, () => ({ problem: (text) => said.push(text) }));
    return { from, ends, ended, said };
  };

  test("by a signal: the run ends in order; by a second one at once", () => {
    const { from, ends, ended } = bugs();
    from.emit("SIGTERM");
    expect(explainFailure(ends.signal.reason)).toEqual({
      exitCode: 75,
      text: "ended early by SIGTERM; the next run goes on from there",
    });
    expect(explainFailure(new StepError("begin", ends.signal.reason)).exitCode).toBe(75);
    expect(ended).toEqual([]);
    from.emit("SIGTERM");
    expect(ended).toEqual([75]);
  });

  test.each(["uncaughtException", "unhandledRejection"])("by a bug (%s): exit code 70", (event) => {
    const { from, ends, said } = bugs();
    from.emit(event, new Error("boom"));
    expect(said).toEqual([expect.stringMatching(/^a bug of metal-rivet: Error: boom\n/)]);
    expect(explainFailure(ends.signal.reason).exitCode).toBe(70);
  });
});

test("the last resort says a line and ends the process, later than the limit, and soon after a run that has ended", () => {
  const timers: { call: TimerCall; ms: number }[] = [];
  const makeTimer = (call: TimerCall) => {
    const timer = { call, ms: 0, set: (ms: number) => (timer.ms = ms) };
    timers.push(timer);
    return timer;
  };
  const lastResort = new LastResort("text", makeTimer);
  lastResort.set(120_000);
  expect(timers.map(({ call, ms }) => [call.name, ms])).toEqual([
    ["puts", 130_000],
    ["_exit", 130_500],
  ]);
  expect(timers[1]?.call).toMatchObject({ argument: 75 });
  lastResort.set(-5_000);
  expect(timers[0]?.ms).toBe(10_000);
  lastResort.endSoon(69);
  expect(timers.map(({ ms }) => ms)).toEqual([0, 0, 500]);
  expect(timers[2]?.call).toEqual({ name: "_exit", argument: 69 });
});

test("defaults of a guest count only where neither command line nor document has the key", async () => {
  const defaults = {
    name: "defaults",
    kind: "document" as const,
    values: new Map([
      ["limit", "120"],
      ["bmc_limit", "60"],
    ] as const),
  };
  const document = join(folder, "site.yaml");
  writeFileSync(document, "limit: 300\nservice: 127.0.0.1:9\n");
  const cmdline = Buffer.from(`rivet.config=${document} rivet.insecure_plaintext=1`);
  const from = readLocalSources(new Map(), cmdline, defaults);
  expect(from.local.limitMs).toBe(120_000);
  const console = await openConsole("text", { write: () => undefined });
  expect(await readSettings(from, console)).toMatchObject({ limitMs: 300_000, bmcLimitMs: 60_000 });
});
