import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Bmc, State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { linked } from "./fixture/rows.ts";
import { run, type Surroundings, start } from "./fixture/run.ts";
import { type FakeService, startFakeService } from "./fixture/service.ts";

const mac = "02:00:00:00:00:03";
const secret = "cAnAry-7!given";
let service: FakeService;
let there: string[];
let directory: string;

beforeAll(async () => {
  service = await startFakeService();
  there = ["--service", service.address, "--pki", service.pki];
  directory = mkdtempSync(join(tmpdir(), "bmcctl-update-"));
});
beforeEach(() => {
  service.updates.length = 0;
  service.rows.set(mac, Bmc.fromPartial({ mac, key: mac, drivers: ["IPMI"], state: State.STATE_LOCKED }));
});
afterEach(() => {
  service.fault = undefined;
  service.rows.delete(mac);
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await service[Symbol.asyncDispose]();
});

const bmcctl = (args: string[], surroundings?: Surroundings) => run([...there, ...args], surroundings);

function fileWith(content: string | Uint8Array, mode = 0o600): string {
  const name = join(directory, `password-${mode.toString(8)}`);
  writeFileSync(name, content);
  chmodSync(name, mode);
  return name;
}

const given = () =>
  service.updates.map(({ account }) => account && [account.userName, Buffer.from(account.password).toString("latin1")]);

describe("update --user --password-file", () => {
  test("sends the account and shows the row, not the password", async () => {
    const ran = await bmcctl([
      "update",
      mac.toUpperCase(),
      "--user",
      "ADMIN",
      "--password-file",
      fileWith(`${secret}\n`),
    ]);
    expect(ran).toEqual({
      code: 0,
      stderr: "",
      stdout: `MAC                 STATE    USER    DRIVERS\n${mac}   linked   ADMIN   IPMI\n`,
    });
    expect(service.updates).toMatchObject([{ mac, drivers: [] }]);
    expect(given()).toEqual([["ADMIN", secret]]);
  });

  test.each([
    ["one line break is cut", `${secret}\n`, secret],
    ["of both kinds", `${secret}\r\n`, secret],
    ["and none is needed", secret, secret],
    ["blanks belong to it", ` ${secret} \n`, ` ${secret} `],
    ["20 characters fit", `${"x".repeat(20)}\n`, "x".repeat(20)],
  ])("from a file: %s", async (_what, content, password) => {
    expect((await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", fileWith(content)])).code).toBe(0);
    expect(given()).toEqual([["ADMIN", password]]);
  });

  test("tells where the BMC is, by the machine's UUID where it tells no MAC address", async () => {
    const { machineUuid } = linked;
    service.rows.set(machineUuid, Bmc.fromPartial({ key: machineUuid, machineUuid, state: State.STATE_LOCKED }));
    const login = ["--user", "ADMIN", "--password-file", fileWith(secret)];
    const ran = await bmcctl(["update", machineUuid.toUpperCase(), ...login, "--address", "10.0.0.8:9001"]);
    service.rows.delete(machineUuid);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(service.updates).toMatchObject([{ mac: machineUuid, address: "10.0.0.8:9001" }]);
  });

  test("from standard input", async () => {
    const args = ["update", mac, "--user", "ADMIN", "--password-file", "-"];
    expect((await bmcctl(args, { stdin: `${secret}\n` })).code).toBe(0);
    expect(given()).toEqual([["ADMIN", secret]]);
  });

  test("not from a terminal, and not for ever", async () => {
    const args = ["update", mac, "--user", "ADMIN", "--password-file", "-"];
    const refused = await bmcctl(args, { isTTY: true, stdin: secret });
    expect(refused).toMatchObject({ code: 64, stderr: expect.stringContaining("standard input is a terminal") });
    const waiting = start([...there, ...args]);
    setTimeout(() => waiting.interrupt(), 20);
    expect((await waiting.ended).code).toBe("interrupted");
    expect(service.updates).toEqual([]);
  });

  test.each([0o644, 0o640, 0o604])("warns of a file that others may read (mode %o)", async (mode) => {
    const file = fileWith(secret, mode);
    const { code, stderr } = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", file]);
    const bits = mode.toString(8).padStart(4, "0");
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `bmcctl: warning: others may read ${file} (mode ${bits}); chmod 600 keeps it yours\n`,
    });
  });

  test.each<[string, string | Uint8Array, string]>([
    ["nothing", "", "there is no password in it"],
    ["an empty line", "\n", "there is no password in it"],
    ["21 characters", "x".repeat(21), "longer than the 20 bytes"],
    ["a whole book", `${secret}\n`.repeat(10_000), "longer than the 20 bytes"],
    ["two lines", "se\ncret", "not printable ASCII on one line"],
    ["other letters", "geheimnisträger", "not printable ASCII on one line"],
    ["bytes", Uint8Array.of(0x00, 0xff), "not printable ASCII on one line"],
  ])("refuses %s, quoting nothing", async (_what, content, problem) => {
    const file = fileWith(content);
    const { code, stderr, stdout } = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", file]);
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    expect(stderr).toContain(`${file}: `);
    expect(stderr).toContain(problem);
    expect(stderr).not.toContain(secret);
    expect(service.updates).toEqual([]);
  });

  test.each([
    ["/nonexistent/password", "no such file"],
    ["/", "it is a directory"],
    ["/dev/zero", "it is no regular file; pipe the password and give -"],
  ])("refuses %s", async (file, problem) => {
    const { code, stderr } = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", file]);
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining(`${file}: `) });
    expect(stderr).toContain(problem);
  });

  test.each([
    [[], "nothing to update"],
    [["--user", "ADMIN"], "--user needs --password-file"],
    [["--password-file", "x"], "--password-file needs --user"],
    [["--user", "", "--password-file", "x"], "1 to 16 characters"],
    [["--user", "x".repeat(17), "--password-file", "x"], "1 to 16 characters"],
    [["--drivers", "IPMI,,Redfish"], "separated by commas"],
    [["--drivers", "IPMI", "--address", "10.0.0.8"], "together with --user"],
    [["--user", "ADMIN", "--password-file", "x", "--address", ""], "HOST or HOST:PORT"],
  ])("%j is no update", async (args, problem) => {
    const { code, stderr } = await bmcctl(["update", mac, ...args]);
    expect(code).toBe(64);
    expect(stderr).toContain(problem);
    expect(service.updates).toEqual([]);
  });

  test.each([
    [status.PERMISSION_DENIED, 77, "is as it was"],
    [status.FAILED_PRECONDITION, 75, "bmcctl describe"],
    [status.UNAVAILABLE, 75, "try again later"],
  ])("refused with %i is exit code %i, with the reason and no password", async (code, exit, advice) => {
    service.fault = { code, details: "the reason" };
    const ran = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", fileWith(secret)]);
    expect(ran).toMatchObject({ code: exit, stdout: "" });
    expect(ran.stderr).toContain("UpdateBmc: the reason\n");
    expect(ran.stderr).toContain(advice);
    expect(ran.stderr).not.toContain("boots again");
    expect(ran.stderr).not.toContain(secret);
    // Every try is a login at the BMC, which may lock the user out.
    expect(service.updates).toHaveLength(1);
  });

  test.each(["table", "yaml", "json"])("shows no password as %s, whatever the service sends", async (output) => {
    const file = fileWith(secret);
    const { stdout } = await bmcctl(["update", mac, "--user", "ADMIN", "--password-file", file, "--output", output]);
    expect(stdout).toContain("ADMIN");
    expect(stdout.toLowerCase()).not.toContain("canary");
  });
});

test("update --drivers changes their order", async () => {
  const { stdout } = await bmcctl(["update", mac, "--drivers", "Redfish, IPMI"]);
  expect(stdout).toContain("Redfish, IPMI\n");
  expect(service.updates).toEqual([{ mac, drivers: ["Redfish", "IPMI"], account: undefined, address: "" }]);
});

test("delete forgets one row and names it", async () => {
  expect(await bmcctl(["delete", mac.toUpperCase()])).toEqual({ code: 0, stdout: `DELETED\n${mac}\n`, stderr: "" });
  expect(service.rows.has(mac)).toBe(false);
  expect((await bmcctl(["delete", mac])).code).toBe(64);
});

describe("a warning", () => {
  const text = "UUID 37c4 is reported by the machine of 02:00:00:00:00:04 too\u001b[2J";
  const twin = Bmc.fromPartial({
    mac,
    key: mac,
    state: State.STATE_LINKED,
    warnings: [{ kind: WarningKind.WARNING_KIND_DUPLICATE_UUID, text }],
  });
  beforeEach(() => {
    service.rows.set(mac, twin);
  });

  test("stands under the table of ls", async () => {
    const { stdout } = await bmcctl(["ls"]);
    expect(stdout).toMatch(/^MAC {17}IP {12}VENDOR {7}DRIVER {6}MACHINE ID\n/);
    expect(stdout.endsWith(`\nwarning: ${mac}: ${text.replace("\u001b", " ")}\n`)).toBe(true);
  });

  test("is in describe and in JSON", async () => {
    const warnings = [{ kind: "duplicate_uuid", text: text.replace("\u001b", " ") }];
    expect(JSON.parse((await bmcctl(["describe", mac, "--output", "json"])).stdout)).toMatchObject({ warnings });
    const all = JSON.parse((await bmcctl(["ls", "--output", "json"])).stdout);
    expect(all.filter((row: { warnings?: unknown }) => row.warnings !== undefined)).toMatchObject([{ mac, warnings }]);
    expect((await bmcctl(["describe", mac])).stdout).toContain("warnings:\n- kind: duplicate_uuid\n  text: ");
  });

  test("is shown by watch, at first and when it comes", async () => {
    const running = start([...there, "watch"]);
    await expect.poll(() => service.watchers).toBe(1);
    service.put(Bmc.fromPartial({ ...twin, warnings: [] }));
    service.put(twin);
    await expect.poll(running.stdout).toMatch(/warnings \(none\) -> .*duplicate_uuid/);
    running.interrupt();
    expect((await running.ended).stdout).toContain("  warning: UUID 37c4 is reported");
    await expect.poll(() => service.watchers).toBe(0);
  });
});

test("of several machines without BMC that have one UUID each is one row", async () => {
  const uuid = linked.machineUuid;
  const rows = ["S-1", "s-2"].map((serial) =>
    Bmc.fromPartial({ key: `${uuid}/${serial}`, machineUuid: uuid, state: State.STATE_UNMANAGED }),
  );
  for (const row of rows) service.rows.set(row.key, row);
  try {
    const { stdout } = await bmcctl(["describe", `${uuid.toUpperCase()}/s-2`]);
    expect(stdout).toContain(`machine_id: ${uuid}\n`);
    const running = start([...there, "watch", "--output", "json"]);
    for (const { key } of rows) await expect.poll(running.stdout).toContain(`"event":"present","key":"${key}"`);
    running.interrupt();
    await running.ended;
    await expect.poll(() => service.watchers).toBe(0);
  } finally {
    for (const { key } of rows) service.rows.delete(key);
  }
});

test("command latencies are in describe", async () => {
  const buckets = [
    { upToMs: 5, count: 40 },
    { upToMs: 0, count: 1 },
  ];
  const facts = { mac, commandLatencies: { buckets, longestMs: 812 } };
  service.rows.set(mac, Bmc.fromPartial({ mac, key: mac, facts }));
  expect((await bmcctl(["describe", mac])).stdout).toContain(`\
command_latencies:
  longest_ms: 812
  buckets:
  - up_to_ms: 5
    count: 40
  - count: 1
`);
});
