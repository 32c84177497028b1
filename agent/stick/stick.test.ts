import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../inband/clock.ts";
import { Report, ReportedAccount } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { mostReportBytes, readReport, writeReport } from "../../proto/report-json.ts";
import { FakeStick } from "./fake-stick.fixture.ts";
import { parseFatLabel } from "./fat-label.ts";
import { findPartition } from "./find-partition.ts";
import { ReportFile } from "./report-file.ts";
import { readStickDocument } from "./stick-document.ts";
import { stickError } from "./stick-error.ts";

/** Who sleeps wakes at once, that much later. */
function fakeClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    async sleep(ms) {
      nowMs += ms;
    },
  };
}

/** The fields of a boot sector that tell the label; as mkfs.vfat writes them. */
function bootSector(kind: 16 | 32, label: string): Buffer {
  const sector = Buffer.alloc(512);
  sector.writeUInt16LE(512, 11);
  sector.writeUInt8(2, 16);
  if (kind === 16) sector.writeUInt16LE(200, 22);
  const extended = kind === 32 ? 66 : 38;
  sector.writeUInt8(0x29, extended);
  sector.write(label.padEnd(11), extended + 5, "latin1");
  sector.write(`FAT${kind}   `, extended + 16, "latin1");
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

describe("the label of a FAT file system", () => {
  test.each([16, 32] as const)("is read from FAT%d", (kind) => {
    expect(parseFatLabel(bootSector(kind, "RIVET"))).toBe("RIVET");
    expect(parseFatLabel(bootSector(kind, "NO NAME"))).toBe("NO NAME");
  });

  test("is none of what is no FAT, or cut", () => {
    const sector = bootSector(32, "RIVET");
    expect(parseFatLabel(sector.subarray(0, 511))).toBeUndefined();
    for (const at of [11, 16, 66, 82, 510]) {
      const other = Buffer.from(sector);
      other.writeUInt8(0, at);
      if (at === 11) other.writeUInt8(1, at);
      expect(parseFatLabel(other), `byte ${at}`).toBeUndefined();
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void parseFatLabel(bytes)));
  });
});

describe("the stick's partition", () => {
  const devices = (sectors: Readonly<Record<string, Buffer | Error>>) => ({
    list: async () => Object.keys(sectors),
    firstSector: async (name: string) => {
      const sector = sectors[name];
      if (sector === undefined || sector instanceof Error) throw sector ?? new Error("asked for another");
      return sector;
    },
  });

  test("is the first one with the label, whatever cannot be read beside it", async () => {
    const all = {
      sdb10: bootSector(32, "RIVET"),
      sda: randomBytes(512),
      sdb2: bootSector(16, "RIVET"),
      mmcblk0: new Error("no medium"),
      loop0: bootSector(32, "RIVET"),
    };
    expect(await findPartition(devices(all))).toBe("/dev/sdb2");
  });

  test("that is not there is told with what is", async () => {
    await expect(findPartition(devices({ sda: randomBytes(512), sdb1: bootSector(32, "BACKUP") }))).rejects.toThrow(
      'stick: no FAT file system with the label RIVET is there, only sda, sdb1 (FAT "BACKUP"); put the stick in',
    );
    await expect(findPartition(devices({}))).rejects.toThrow("no disk at all");
  });
});

test.each([
  ["ENOSPC", "full", "it is full (ENOSPC); delete files that are not reports"],
  ["EROFS", "read-only", "it is write-protected (EROFS)"],
  ["EIO", "gone", "it does not answer any more (EIO); put it back"],
  ["EINVAL", "damaged", "its file system is damaged (EINVAL)"],
])("%s of the kernel means that the stick is %s", (code, problem, text) => {
  const error = stickError("writing reports/x.json", Object.assign(new Error("x"), { code }));
  expect(error.problem).toBe(problem);
  expect(error.message).toContain(`stick: writing reports/x.json: ${text}`);
});

const uuid = "4c4c4544-0042-3510-8052-b4c04f4d4d32";
const account = (id: string) => ReportedAccount.fromPartial({ id, userName: id });
const reportOf = (...ids: string[]): Report =>
  Report.fromPartial({ version: 1, machine: { uuid }, accounts: ids.map(account) });
const idsOn = (stick: FakeStick, path = `reports/${uuid}.json`) =>
  readReport(stick.files.get(path) ?? Buffer.alloc(0)).accounts.map(({ id }) => id);

function newFile() {
  const stick = new FakeStick();
  const notes: string[] = [];
  return { stick, notes, file: new ReportFile(stick, uuid, (text) => notes.push(text)) };
}

describe("a report on the stick", () => {
  test("is read as it was written, and keeps the accounts of former runs", async () => {
    const { stick, file } = newFile();
    expect(await file.read()).toBeUndefined();
    await file.write(reportOf("a", "b"));
    expect((await file.read())?.accounts).toEqual([account("a"), account("b")]);
    const changed = { ...account("b"), slot: 3 };
    const kept = await file.write({ ...reportOf(), accounts: [changed, account("c")] });
    expect(kept).toEqual([account("a"), changed, account("c")]);
    expect(idsOn(stick)).toEqual(["a", "b", "c"]);
    expect([...stick.files.keys()]).toEqual([`reports/${uuid}.json`]);
    expect(stick.isMounted).toBe(false);
  });

  test("cut off at any instant, it is the former or the new one, and the next run goes on", async () => {
    for (let at = 0; ; at += 1) {
      const { stick, file } = newFile();
      await file.write(reportOf("a"));
      let instants = 0;
      stick.hook = () => {
        if (instants++ >= at) throw new Error("the power is cut");
      };
      const failed = await file.write(reportOf("b")).then(
        () => false,
        () => true,
      );
      stick.hook = () => undefined;
      stick.isMounted = false;
      expect([["a"], ["a", "b"]]).toContainEqual(idsOn(stick));
      await file.write(reportOf("c"));
      expect(idsOn(stick).filter((id) => id !== "b")).toEqual(["a", "c"]);
      if (!failed) return expect(at).toBeGreaterThan(10);
    }
  });

  test("whose new file alone is whole is taken from there", async () => {
    const { stick, file } = newFile();
    stick.folders.add("reports");
    stick.files.set(`reports/${uuid}.json`, Buffer.from('{"ver'));
    stick.files.set(`reports/${uuid}.new`, writeReport(reportOf("a")));
    expect((await file.read())?.accounts).toEqual([account("a")]);
    await file.write(reportOf("b"));
    expect(idsOn(stick)).toEqual(["a", "b"]);
    expect(stick.files.get(`reports/${uuid}-1.json`)?.toString()).toBe('{"ver');
  });

  test("that cannot be read is set aside and never overwritten", async () => {
    const { stick, file, notes } = newFile();
    const foreign = { newer: '{"version":2}', other: writeReport({ ...reportOf("z"), machine: undefined }).toString() };
    for (const content of Object.values(foreign)) {
      stick.files.set(`reports/${uuid}.json`, Buffer.from(content));
      expect(await file.read()).toBeUndefined();
      await file.write(reportOf("a"));
    }
    expect(idsOn(stick)).toEqual(["a"]);
    expect(stick.files.get(`reports/${uuid}-1.json`)?.toString()).toBe(foreign.newer);
    expect(stick.files.get(`reports/${uuid}-2.json`)?.toString()).toBe(foreign.other);
    expect(notes[0]).toBe(`reports/${uuid}.json on the stick cannot be read; it is reports/${uuid}-1.json now`);
    for (let number = 3; number <= 9; number += 1) stick.files.set(`reports/${uuid}-${number}.json`, Buffer.from("x"));
    stick.files.set(`reports/${uuid}.json`, Buffer.from("again"));
    await expect(file.write(reportOf("c"))).rejects.toMatchObject({ problem: "damaged" });
    expect(stick.files.get(`reports/${uuid}.json`)?.toString()).toBe("again");
  });

  test.each([
    ["full", { room: 1_000 }],
    ["read-only", { isProtected: true }],
    ["damaged", { forgets: true }],
    ["absent", { problem: "absent" as const }],
  ])("on a stick that is %s is not written, and what was there stays", async (problem, state) => {
    const { stick, file } = newFile();
    await file.write(reportOf("a"));
    const before = new Map(stick.files);
    Object.assign(stick, state);
    const long = Report.fromPartial({ ...reportOf("b"), bootId: "x".repeat(1_000) });
    await expect(file.write(long)).rejects.toMatchObject({ name: "StickError", problem });
    expect(stick.files).toEqual(before);
    expect(stick.isMounted).toBe(false);
  });

  test("that gets too long is not written", async () => {
    const { stick, file } = newFile();
    await file.write(reportOf("a"));
    const before = new Map(stick.files);
    const long = Report.fromPartial({ ...reportOf("b"), bootId: "x".repeat(mostReportBytes) });
    await expect(file.write(long)).rejects.toThrow("more than the 196608 that a service takes");
    expect(stick.files).toEqual(before);
  });
});

describe("the document on the stick", () => {
  test("is read by the parser of all documents", async () => {
    const stick = new FakeStick();
    stick.files.set("metal-rivet.yaml", Buffer.from("offline: 1\nuser_prefix: rack7\n"));
    expect(await readStickDocument(stick, fakeClock())).toEqual({
      name: "metal-rivet.yaml on the stick",
      kind: "document",
      values: new Map([
        ["offline", "1"],
        ["user_prefix", "rack7"],
      ]),
    });
    stick.files.clear();
    expect(await readStickDocument(stick, fakeClock())).toBeUndefined();
  });

  test("with a mistake is told with line and column", async () => {
    const stick = new FakeStick();
    stick.files.set("metal-rivet.yaml", Buffer.from("offline: 1\nservce: x:1\n"));
    await expect(readStickDocument(stick, fakeClock())).rejects.toThrow(
      'metal-rivet.yaml on the stick: line 2, column 1: unknown key "servce"',
    );
  });

  test("is waited for while the stick shows itself late, for a while", async () => {
    const stick = new FakeStick();
    stick.problem = "absent";
    stick.files.set("metal-rivet.yaml", Buffer.from("log: json\n"));
    const clock = fakeClock();
    stick.hook = () => {
      if (clock.now() >= 5_000) stick.problem = undefined;
    };
    expect((await readStickDocument(stick, clock))?.values.get("log")).toBe("json");
    expect(clock.now()).toBe(5_000);
    stick.problem = "absent";
    stick.hook = () => undefined;
    await expect(readStickDocument(stick, clock)).rejects.toMatchObject({ problem: "absent" });
    expect(clock.now()).toBe(35_000);
  });

  test("is asked for once more where it does not show itself, once", async () => {
    const stick = new FakeStick();
    stick.problem = "absent";
    stick.files.set("metal-rivet.yaml", Buffer.from("log: json\n"));
    const clock = fakeClock();
    stick.hook = () => {
      if (stick.probedAgain > 0) stick.problem = undefined;
    };
    expect((await readStickDocument(stick, clock))?.values.get("log")).toBe("json");
    stick.problem = "absent";
    stick.hook = () => undefined;
    await expect(readStickDocument(stick, clock)).rejects.toMatchObject({ problem: "absent" });
    expect(stick.probedAgain).toBe(2);
  });
});
