import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ImportResult } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { mostReportBytes } from "../../proto/report-json.ts";
import { failed, linked, unmanaged } from "./fixture/rows.ts";
import { run } from "./fixture/run.ts";
import { type FakeService, startFakeService } from "./fixture/service.ts";

let service: FakeService;
let directory: string;

beforeAll(async () => {
  service = await startFakeService();
  directory = mkdtempSync(join(tmpdir(), "bmcctl-import-"));
  service.importAnswers
    .set("good", { bmc: linked, result: ImportResult.IMPORT_RESULT_LINKED, reason: "", newAccounts: 2 })
    .set("none", {
      bmc: unmanaged,
      result: ImportResult.IMPORT_RESULT_STORED,
      reason: "no BMC\u001b[31m",
      newAccounts: 0,
    })
    .set("far", { bmc: failed, result: ImportResult.IMPORT_RESULT_WAITING, reason: "no answer", newAccounts: 1 })
    .set("other", { code: status.FAILED_PRECONDITION, details: "sealed to key 0123456789abcdef" })
    .set("bad", { code: status.INVALID_ARGUMENT, details: "line 3, column 7: this is no JSON" });
});
afterEach(() => {
  service.fault = undefined;
  service.imports.length = 0;
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await service[Symbol.asyncDispose]();
});

function fileOf(text: string): string {
  const path = join(directory, `${text.slice(0, 10)}.json`);
  writeFileSync(path, text);
  return path;
}
const bring = (...args: string[]) => run(["--service", service.address, "--pki", service.pki, "import", ...args]);

test("each file has a line with what became of it, in the order of the files", async () => {
  const { code, stdout, stderr } = await bring(fileOf("good"), fileOf("none"));
  expect(stdout.replaceAll(`${directory}/`, "").split("\n")).toEqual([
    expect.stringMatching(/^FILE +RESULT +MACHINE ID +MAC +REASON$/),
    expect.stringMatching(/^good\.json +linked +37c43c25-\S+ +92:33:b8:0e:df:8f$/),
    expect.stringMatching(/^none\.json +stored +\S+ +no BMC.*\[31m$/),
    "",
  ]);
  expect(stdout).not.toContain("\u001b");
  expect([code, stderr]).toEqual([0, ""]);
});

test("sites have a column where any is named", async () => {
  const machine = Machine.fromPartial({ uuid: linked.machineUuid, site: "Rack 12, Hall B" });
  const bmc = { ...linked, machine };
  service.importAnswers.set("named", { bmc, result: ImportResult.IMPORT_RESULT_LINKED, reason: "", newAccounts: 1 });
  const { stdout } = await bring(fileOf("named"), fileOf("none"));
  expect(stdout.replaceAll(`${directory}/`, "").split("\n")).toEqual([
    expect.stringMatching(/^FILE +RESULT +MACHINE ID +MAC +SITE +REASON$/),
    expect.stringMatching(/^named\.json +linked +37c43c25-\S+ +92:33:b8:0e:df:8f +Rack 12, Hall B$/),
    expect.stringMatching(/^none\.json +stored +\S+ +no BMC/),
    "",
  ]);
  const told = JSON.parse((await bring(fileOf("named"), "--output", "json")).stdout);
  expect(told).toMatchObject([{ result: "linked", bmc: { site: "Rack 12, Hall B" } }]);
});

test("files that are not done with are told apart, and told by the exit code; the others are brought all the same", async () => {
  const files = [fileOf("bad"), fileOf("far"), fileOf("other"), join(directory, "missing.json"), fileOf("good")];
  const { code, stdout, stderr } = await bring(...files, "--output", "json");
  const told = JSON.parse(stdout);
  expect(told.map(({ result }: { result: string }) => result)).toEqual([
    "refused",
    "waiting",
    "refused",
    "refused",
    "linked",
  ]);
  expect(told[0]).toMatchObject({
    file: files[0],
    reason: expect.stringContaining("line 3, column 7: this is no JSON"),
  });
  expect(told[1]).toMatchObject({ reason: "no answer", new_accounts: 1, bmc: { mac: failed.mac } });
  expect(told[2].reason).toContain("sealed to key 0123456789abcdef");
  expect(told[3].reason).toBe("no such file");
  expect(code).toBe(78);
  expect(stderr).toContain("4 of 5 reports are not linked yet, or were refused");
  expect(await bring(fileOf("other"), fileOf("far"))).toMatchObject({ code: 77 });
});

test("only a file that waits is to be imported again", async () => {
  const again = "Keep the files that wait; to import them again does no harm.";
  expect(await bring(fileOf("far"))).toMatchObject({ code: 75, stderr: expect.stringContaining(again) });
  expect((await bring(fileOf("other"), fileOf("far"))).stderr).toContain(again);
  const { stderr } = await bring(fileOf("other"));
  expect(stderr).not.toContain("again");
  expect(stderr).toContain("Nothing of these files is stored; the reason of each says what to do.");
});

const tooLong = `it has more than the ${mostReportBytes} bytes of a report`;

test("a file that is too long for a report is not sent, also where stat tells no size", async () => {
  const { stdout } = await bring(fileOf("x".repeat(mostReportBytes + 1)), "/proc/kallsyms");
  expect(stdout.split(tooLong)).toHaveLength(3);
  expect(service.imports).toEqual([]);
});

test("a report of just the size that is allowed is sent", async () => {
  await bring(fileOf("y".repeat(mostReportBytes)));
  expect(service.imports).toHaveLength(1);
});

test("what never ends and what waits for a writer is refused, and the next file is brought", async () => {
  const [zero, fifo] = [join(directory, "zero.json"), join(directory, "fifo.json")];
  symlinkSync("/dev/zero", zero);
  execFileSync("mkfifo", [fifo]);
  const { code, stdout } = await bring(zero, fifo, directory, fileOf("good"), "--output", "json");
  expect(JSON.parse(stdout)).toMatchObject([
    { result: "refused", reason: "it is no regular file" },
    { result: "refused", reason: "it is no regular file" },
    { result: "refused", reason: "it is a directory" },
    { result: "linked" },
  ]);
  expect(code).toBe(78);
});

test("a service that lets nobody in is told once, and no file is called refused", async () => {
  service.fault = {
    code: status.PERMISSION_DENIED,
    details: 'ImportReport needs role "operator", the client certificate has role (OU) "viewer"',
  };
  const { code, stdout, stderr } = await bring(...Array.from({ length: 20 }, () => fileOf("good")));
  expect([code, stdout]).toEqual([77, ""]);
  expect(stderr.match(/needs role/g)).toHaveLength(1);
  expect(service.imports.length).toBeLessThan(20);
});
