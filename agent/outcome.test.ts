import { describe, expect, test } from "vitest";
import { AccountRefusedError, SlotTakenError } from "../inband/account/account-error.ts";
import { FormerAccountUnreadableError } from "../inband/account/choose-place.ts";
import { PolicyError } from "../inband/account/credentials.ts";
import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { InterruptedWriteError } from "../inband/conversation.ts";
import { UnreadableIdentityError } from "../inband/derive-machine.ts";
import { NoLanChannelError } from "../inband/lan-channel.ts";
import { BogusUuidError } from "../inband/smbios/identify-machine.ts";
import { SmbiosUnavailableError } from "../inband/smbios/read-tables.ts";
import { NotReadyError } from "../inband/wait-until-ready.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../ipmi/errors.ts";
import { ServiceError, type ServiceStatus } from "../outband-client/service/service-error.ts";
import { HandOffCutError } from "./hand-off-events.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "./outcome.ts";
import { StepError, type StepName, StepTimeoutError } from "./step.ts";

const ipmi = { commands: 44, waitedMs: 120 };
const locked = new InbandLockedError(new CompletionCodeError("Set User Name", 0xd4, "insufficient privilege"));
const bmc = { mac: "52:54:00:b1:00:01", channel: 1, address: "10.0.0.7", userName: "rivetabc", slot: 3 };

describe("exitCodeOf", () => {
  test.each([
    [new SmbiosUnavailableError("/sys/x", new Error("ENOENT")), "identify machine", 78],
    [new BogusUuidError("03000200-0400-0500-0006-000700080009", "the machine has no BMC"), "identify machine", 78],
    [new UnreadableIdentityError(undefined, "FRU 0 cannot be read"), "inspect BMC", 75],
    [new DecodeError("SMBIOS table", 3, "cut short"), "identify machine", 78],
    [new DecodeError("Get User Name response", 3, "cut short"), "escrow account", 76],
    [new PolicyError("no"), "begin", 78],
    [new NotReadyError("x", 1, "y"), "open BMC", 75],
    [new NoLanChannelError({ seen: [], unanswered: [], findings: [], refusal: undefined }), "inspect BMC", 75],
    [new TransportError("x", "unknown", "no answer"), "set account", 75],
    [new InterruptedWriteError("x", new Error("y")), "set account", 75],
    [new SlotTakenError({ slot: 3, userName: "rivetx" }, "ADMIN"), "prove account", 75],
    [new FormerAccountUnreadableError([{ id: 3, reason: "FFh" }]), "escrow account", 75],
    [new CompletionCodeError("x", 0xcc, "y"), "set account", 76],
    [new CompletionCodeError("x", 0xc3, "timeout"), "set account", 75],
    [AccountRefusedError.ofName(3, "rivetx", new CompletionCodeError("x", 0xcc, "y")), "set account", 77],
    [AccountRefusedError.ofPasswords(3, "CCh", new CompletionCodeError("x", 0xcc, "y")), "set account", 77],
    [new HandOffCutError(), "hand-off", 69],
    [new StepTimeoutError(1), "hand-off", 69],
    [new StepTimeoutError(1), "inspect BMC", 75],
    [new StepTimeoutError(1), "escrow account", 75],
    [new TypeError("undefined is not a function"), "inspect BMC", 70],
  ] as [Error, StepName, number][])("%s at %s: %d", (cause, step, code) => {
    expect(exitCodeOf(new StepError(step, cause))).toBe(code);
  });

  test.each([
    ["unavailable", 69],
    ["deadline", 69],
    ["refused", 77],
    ["precondition", 77],
    ["protocol", 76],
    ["unauthenticated", 77],
    ["conflict", 75],
    ["damaged", 75],
    ["internal", 75],
    ["configuration", 78],
  ] as [ServiceStatus, number][])("service %s: %d", (status, code) => {
    expect(exitCodeOf(new StepError("begin", new ServiceError(status, "x")))).toBe(code);
  });

  test.each([
    ["unauthenticated", 75],
    ["conflict", 77],
  ] as const)("service %s in the middle of an enrolment: %d", (status, code) => {
    expect(exitCodeOf(new StepError("report BMC", new ServiceError(status, "x")))).toBe(code);
  });

  test("errors outside of steps count too", () => {
    expect(exitCodeOf(Object.assign(new Error("x"), { name: "ConfigError" }))).toBe(78);
    expect(exitCodeOf(Object.assign(new Error("x"), { name: "UsageError" }))).toBe(64);
    expect(exitCodeOf(new Error("x"))).toBe(70);
  });
});

test("no place for an account is refused", () => {
  const outcome = { kind: "no free slot", machineUuid: "u", ipmi, mac: "m", occupants: [], reason: "r" } as const;
  expect(exitCodeOf(outcome)).toBe(77);
});

describe("describeOutcome", () => {
  test.each([
    [
      { kind: "linked", machineUuid: "u", ipmi, bmc, driver: "IPMI" },
      /^Linked to BMC 52:54:00:b1:00:01 at 10.0.0.7 as user "rivetabc" in slot 3; .*by IPMI \(44 IPMI commands\)\.$/,
    ],
    [{ kind: "recognised", machineUuid: "u", ipmi, bmc, driver: "IPMI" }, /^Recognised: .*nothing changed/],
    [{ kind: "unverified", machineUuid: "u", ipmi, bmc, reason: "no answer" }, /not yet from remote: no answer/],
    [
      { kind: "unmanaged", machineUuid: "u", ipmi, tried: [{ way: "/dev/ipmi0", reason: "missing" }] },
      /unmanaged. Tried \/dev\/ipmi0: missing/,
    ],
    [
      { kind: "locked", machineUuid: "u", ipmi, mac: "m", reason: locked.message },
      /^BMC m lets its machine make no accounts: .*D4h.*give the service credentials by hand\.$/,
    ],
    [
      {
        kind: "no free slot",
        machineUuid: "u",
        ipmi,
        mac: "m",
        occupants: [{ slot: 2, holder: '"ADMIN"' }],
        reason: 'no free user ID on the BMC: 2 "ADMIN"',
      },
      /^BMC m has no place for an account: .*2 "ADMIN"$/,
    ],
    [
      { kind: "failed", machineUuid: "u", ipmi, bmc, failure: 2, reason: "wrong password" },
      /could not take control.*wrong password/,
    ],
  ] as [Outcome, RegExp][])("%j", (outcome, text) => {
    expect(describeOutcome(outcome)).toMatch(text);
  });
});
