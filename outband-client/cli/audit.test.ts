import { beforeEach, describe, expect, test } from "vitest";
import { AuditEntry, Conflict, ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { useFakeService } from "./fixture/hooks.ts";
import { linked } from "./fixture/rows.ts";
import { run } from "./fixture/run.ts";

const inUse = useFakeService();

const bmcctl = (...args: string[]) => run([...inUse.there, ...args]);

function entry(number: number, more: Partial<AuditEntry> = {}): AuditEntry {
  return AuditEntry.fromPartial({
    number: BigInt(number),
    at: new Date("2026-01-02T03:04:05Z"),
    actor: "operator",
    role: "operator",
    action: "SetPower",
    subject: linked.mac,
    detail: "off",
    result: "OK",
    from: "10.0.0.7",
    ...more,
  });
}

describe("audit", () => {
  beforeEach(() => {
    inUse.service.audit.entries = [entry(2), entry(1, { subject: "other", detail: "red\u001b[31m", result: "BEGUN" })];
    inUse.service.audit.intact = true;
  });

  test("shows who did what, the newest first", async () => {
    expect(await bmcctl("audit")).toEqual({
      code: 0,
      stderr: "",
      stdout: `\
NUMBER   AT                         ACTOR      ROLE       FROM       ACTION     SUBJECT             RESULT   DETAIL
2        2026-01-02T03:04:05.000Z   operator   operator   10.0.0.7   SetPower   92:33:b8:0e:df:8f   OK       off
1        2026-01-02T03:04:05.000Z   operator   operator   10.0.0.7   SetPower   other               BEGUN    red [31m
`,
    });
    const { stdout } = await bmcctl("audit", "--key", linked.mac.toUpperCase(), "--output", "json");
    expect(JSON.parse(stdout)).toEqual([
      {
        number: 2,
        at: "2026-01-02T03:04:05.000Z",
        actor: "operator",
        role: "operator",
        action: "SetPower",
        subject: linked.mac,
        detail: "off",
        result: "OK",
        from: "10.0.0.7",
      },
    ]);
  });

  test("asks for page after page", async () => {
    inUse.service.audit.entries = Array.from({ length: 2_500 }, (_, i) => entry(2_500 - i));
    const numbers = async (...args: string[]) => {
      const { stdout } = await bmcctl("audit", "--output", "json", ...args);
      return JSON.parse(stdout).map(({ number }: { number: number }) => number);
    };
    expect(await numbers()).toEqual(Array.from({ length: 100 }, (_, i) => 2_500 - i));
    expect(await numbers("--limit", "2200")).toEqual(Array.from({ length: 2_200 }, (_, i) => 2_500 - i));
    expect(await numbers("--limit", "9999")).toHaveLength(2_500);
  });

  test("--verify looks at every entry, and says that they hold", async () => {
    inUse.service.audit.entries = Array.from({ length: 2_500 }, (_, i) => entry(2_500 - i));
    expect((await bmcctl("audit", "--verify")).stdout).toBe(`\
INTACT   ENTRIES   NEWEST
yes      2500      2026-01-02T03:04:05.000Z
`);
    const { stdout } = await bmcctl("audit", "--verify", "--output", "json");
    expect(JSON.parse(stdout)).toEqual({ intact: true, entries: 2_500, newest: "2026-01-02T03:04:05.000Z" });
    inUse.service.audit.entries = [];
    expect((await bmcctl("audit", "--verify")).code).toBe(0);
  });

  test.each([
    ["between two pages", (number: number) => number !== 1_500, "among 500 to 1499"],
    ["the first ones", (number: number) => number > 3, "among 1 to 3"],
  ])("--verify says where entries are missing: %s", async (_where, isKept, where) => {
    inUse.service.audit.entries = Array.from({ length: 2_500 }, (_, i) => entry(2_500 - i)).filter(({ number }) =>
      isKept(Number(number)),
    );
    const { code, stdout, stderr } = await bmcctl("audit", "--verify");
    expect({ code, stdout }).toEqual({ code: 76, stdout: "" });
    expect(stderr).toContain(`behind the service's back (${where})`);
  });

  test("--verify looks at the whole log, whatever else is asked for", async () => {
    inUse.service.audit.intact = false;
    expect((await bmcctl("audit", "--verify")).code).toBe(76);
    expect((await bmcctl("audit", "--verify", "--limit", "5")).code).toBe(64);
    expect((await bmcctl("audit", "--verify", "--key", linked.mac)).code).toBe(64);
  });

  test("says plainly that the log does not hold, after what there is, with exit code 76", async () => {
    inUse.service.audit.intact = false;
    const { code, stdout, stderr } = await bmcctl("audit");
    expect(code).toBe(76);
    expect(stdout).toContain("SetPower");
    expect(stderr).toContain("bmcctl: the audit log does not hold: entries were changed or removed");
  });

  test.each(["0", "-1", "many"])("--limit %s is exit code 64", async (limit) => {
    expect((await bmcctl("audit", "--limit", limit)).code).toBe(64);
  });
});

describe("conflicts", () => {
  beforeEach(() => {
    inUse.service.callers.length = 0;
    const open = Conflict.fromPartial({
      id: "12",
      firstAt: new Date("2026-01-01T00:00:00Z"),
      lastAt: new Date("2026-01-02T00:00:00Z"),
      count: 3,
      key: linked.mac,
      machineUuid: "995119fd-ec18-4cd7-8ca0-a9e1c2f70624",
      claimedMac: linked.mac,
      claimedBy: "agent",
      text: "two machines, one BMC",
    });
    const decided = { ...open, id: "11", decision: ConflictDecision.CONFLICT_DECISION_DISMISSED, decidedBy: "admin" };
    inUse.service.conflicts.splice(0, inUse.service.conflicts.length, open, decided);
  });

  test("shows what is open, and with --all what was decided", async () => {
    expect((await bmcctl("conflicts")).stdout).toBe(`\
ID   LAST AT                    COUNT   KEY                 DECISION   TEXT
12   2026-01-02T00:00:00.000Z   3       92:33:b8:0e:df:8f   open       two machines, one BMC
`);
    const { stdout } = await bmcctl("conflicts", "--all", "--output", "json");
    expect(JSON.parse(stdout).map(({ id, decision }: Record<string, string>) => [id, decision])).toEqual([
      ["12", "open"],
      ["11", "dismissed"],
    ]);
  });

  test.each([
    ["accept", [], "accepted"],
    ["accept", ["--separate"], "accepted as separate"],
    ["dismiss", [], "dismissed"],
  ])("%s %j decides, with the certificate of the role", async (verb, more, decision) => {
    const { code, stdout } = await bmcctl("--role", "admin", "conflicts", verb, "12", ...more, "--output", "json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      id: "12",
      decision,
      decided_by: "admin",
      decided_at: "2026-01-02T03:04:05.000Z",
    });
    expect(inUse.service.callers).toEqual(["test admin"]);
    expect((await bmcctl("conflicts", verb, "99")).code).toBe(64);
    expect((await bmcctl("conflicts", verb, "x")).code).toBe(64);
    expect((await bmcctl("conflicts", verb)).code).toBe(64);
    expect((await bmcctl("conflicts", "dismiss", "12", "--separate")).code).toBe(64);
  });
});
