import { expect, test } from "vitest";
import { BmcServiceService } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { EnrolmentServiceService } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { bmcRules, enrolmentRules, type Rule } from "./rules.ts";

const rulesOf = (rules: Readonly<Record<string, Rule>>) => Object.entries(rules);

test("every call of the contract has a rule, and no other", () => {
  expect(Object.keys(bmcRules).toSorted()).toEqual(Object.keys(BmcServiceService).toSorted());
  expect(Object.keys(enrolmentRules).toSorted()).toEqual(Object.keys(EnrolmentServiceService).toSorted());
});

test("agents have the EnrolmentService and nothing else", () => {
  expect(rulesOf(enrolmentRules).every(([, { role }]) => role === "agent")).toBe(true);
  expect(rulesOf(bmcRules).filter(([, { role, secrets }]) => [role, secrets].includes("agent"))).toEqual([]);
});

test("every call that can be asked for secrets says who may", () => {
  const can = Object.entries(BmcServiceService)
    .filter(([, { requestDeserialize }]) => "showSecrets" in requestDeserialize(Buffer.alloc(0)))
    .map(([name]) => name);
  expect(can).toEqual(["getBmc", "listAccounts"]);
  const says = rulesOf(bmcRules).filter(([, { secrets }]) => secrets !== undefined);
  expect(says.map(([name]) => name)).toEqual(can);
});

test("viewers change nothing, and what only reads is not called a change", () => {
  for (const [name, { role, change }] of rulesOf(bmcRules)) {
    const reads = /^(list|get|watch)/.test(name);
    expect({ name, isChange: change !== undefined }).toEqual({ name, isChange: !reads });
    if (!reads) expect({ name, role }).not.toEqual({ name, role: "viewer" });
  }
});

test("every change is told for people, also one that asks for nothing that there is", () => {
  const { setPower, setBootTarget, setIdentifyLed, updateBmc, createToken, resolveConflict } = bmcRules;
  expect(setPower.change?.({ mac: "", action: 3 })).toBe("cycle");
  expect(setPower.change?.({ mac: "", action: 77 as 1 })).toBe("77");
  expect(setBootTarget.change?.({ mac: "", target: 2, persistent: true, efi: true })).toBe("pxe, persistent, UEFI");
  expect(setIdentifyLed.change?.({ mac: "", state: 2, seconds: 30 })).toBe("timed, 30 s");
  const account = { userName: "ADMIN", password: Buffer.from("Secret-pass") };
  expect(updateBmc.change?.({ mac: "", drivers: ["IPMI"], account, address: "10.0.0.8" })).toBe(
    'drivers IPMI, account "ADMIN", address 10.0.0.8',
  );
  expect(createToken.change?.({ machineUuid: "u", ttlSeconds: 60, uses: 2 })).toBe("machine u, ttl 60 s, uses 2");
  const purpose = "52:54:00:12:34:56";
  expect(createToken.change?.({ machineUuid: "", ttlSeconds: 60, uses: 1, purpose })).toBe(
    "for 52:54:00:12:34:56, ttl 60 s, uses 1",
  );
  expect(resolveConflict.change?.({ id: "1", decision: 1 })).toBe("accepted");
});
