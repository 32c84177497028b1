import { describe, expect, test } from "vitest";
import { InbandProof } from "./gen/metalstack/bmc/v1/enrolment_service.ts";
import { Report } from "./gen/metalstack/bmc/v1/report.ts";
import { mostReportBytes, ReportError, readReport, writeReport } from "./report-json.ts";

const full = Report.fromPartial({
  version: 1,
  machine: { uuid: "u", board: { serialNumber: "S-1" }, uuidDerived: true },
  writtenAt: new Date("2026-01-02T03:04:05Z"),
  bmc: {
    mac: "52:54:00:b1:00:01",
    channel: 1,
    channels: [{ channel: 1, remark: "elected" }, { channel: 8 }],
    findings: ["one", "two"],
    fru: { boardManufacturedAt: new Date("2021-03-04T05:06:00Z") },
    commandLatencies: { buckets: [{ upToMs: 5, count: 9 }] },
  },
  inventory: { memoryBytes: 2n ** 40n, disks: [{ name: "sda", sizeBytes: 5n, rotational: true }] },
  accounts: [
    {
      id: "1",
      proof: InbandProof.INBAND_PROOF_PASSWORD_TESTED,
      sealedPassword: { keyId: "k", encapsulatedKey: Buffer.from([1, 2, 255]), ciphertext: Buffer.from("xyz") },
    },
  ],
});

describe("a report as JSON", () => {
  test("is read as it was written", () => {
    expect(readReport(writeReport(full))).toEqual(full);
    const empty = Report.fromPartial({ version: 1 });
    expect(readReport(writeReport(empty))).toEqual(empty);
  });

  test("has the names of the contract, and nothing empty", () => {
    expect(JSON.parse(writeReport(full).toString())).toEqual({
      version: 1,
      machine: { uuid: "u", board: { serial_number: "S-1" }, uuid_derived: true },
      written_at: "2026-01-02T03:04:05.000Z",
      bmc: {
        mac: "52:54:00:b1:00:01",
        channel: 1,
        channels: [{ channel: 1, remark: "elected" }, { channel: 8 }],
        findings: ["one", "two"],
        fru: { board_manufactured_at: "2021-03-04T05:06:00.000Z" },
        command_latencies: { buckets: [{ up_to_ms: 5, count: 9 }] },
      },
      inventory: { memory_bytes: "1099511627776", disks: [{ name: "sda", size_bytes: "5", rotational: true }] },
      accounts: [{ id: "1", proof: 1, sealed_password: { key_id: "k", encapsulated_key: "AQL/", ciphertext: "eHl6" } }],
    });
  });

  test("may have fields of a newer release, and null where there is nothing", () => {
    const more = {
      version: 1,
      machine: { uuid: "u", colour: "red" },
      bmc: null,
      weather: ["rain"],
      __proto__: { x: 1 },
    };
    expect(readReport(Buffer.from(JSON.stringify(more)))).toEqual(
      Report.fromPartial({ version: 1, machine: { uuid: "u" } }),
    );
  });

  test("that is cut anywhere is refused, with the place", () => {
    const whole = writeReport(full).toString().trimEnd();
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => readReport(Buffer.from(whole.slice(0, length))), `${length}`).toThrow(ReportError);
    }
    expect(() => readReport(Buffer.from(whole.slice(0, 20)))).toThrow(
      /^line 3, column 3: the text ends here, too early/,
    );
  });

  test.each([
    ["", "the file is empty"],
    ["{\n  x\n}", "line 2, column 3: this is no JSON; is the file damaged?"],
    ["[]", "version: it is missing; is this a report of metal-rivet?"],
    ['{"version":2}', "version: this release reads version 1, not 2"],
    ['{"version":"s3cret"}', "version: this release reads version 1, not that"],
    ['{"version":1,"machine":7}', "machine: it is no object"],
    ['{"version":1,"machine":{"uuid":7}}', "machine.uuid: it is no text"],
    ['{"version":1,"machine":{"uuid_derived":"yes"}}', "machine.uuid_derived: it is neither true nor false"],
    ['{"version":1,"bmc":{"channel":-1}}', "bmc.channel: it is no whole number from 0 to 4294967295"],
    ['{"version":1,"bmc":{"findings":[1]}}', "bmc.findings[0]: it is no text"],
    ['{"version":1,"bmc":{"channels":{}}}', "bmc.channels: it is no list"],
    ['{"version":1,"inventory":{"memory_bytes":5}}', "inventory.memory_bytes: it is no whole number as a text"],
    ['{"version":1,"written_at":"soon"}', "written_at: it is no time in the form of RFC 3339"],
    [
      '{"version":1,"accounts":[{"sealed_password":{"ciphertext":"?"}}]}',
      "accounts[0].sealed_password.ciphertext: it is no base64",
    ],
  ])("%j is refused: %s", (text, message) => {
    expect(() => readReport(Buffer.from(text))).toThrow(new ReportError(message));
  });

  test("that is no text, or too long, is refused by reader and writer", () => {
    expect(() => readReport(Buffer.from([0x7b, 0xff]))).toThrow("no UTF-8");
    expect(() => readReport(Buffer.alloc(mostReportBytes + 1, " "))).toThrow("bytes, more than the 196608 of a report");
    const long = Report.fromPartial({ version: 1, bootId: "x".repeat(mostReportBytes) });
    expect(() => writeReport(long)).toThrow(ReportError);
  });
});
