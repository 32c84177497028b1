import { describe, expect, test } from "vitest";
import { ServiceError, type ServiceStatus } from "../../outband-client/service/service-error.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { spec } from "../simulator/profiles.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { nameText } from "../simulator/users.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { Machine } from "./machine.ts";

/** The service answers a call so, from now on. */
function refuse(machine: Machine, call: string, status: ServiceStatus): void {
  machine.service.hook = (when, name) => {
    if (when === "before" && name === call) throw new ServiceError(status, "not this one", { answered: true });
  };
}

const account = (machine: Machine) => machine.bmc.user(3);

describe("a run that cannot finish", () => {
  test.each(["refused", "invalid", "precondition", "conflict"] as const)(
    "because the service answers %s to the confirmation: the account is closed, the row says why, the next boot links",
    async (status) => {
      const machine = new Machine();
      const before = JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3));
      refuse(machine, "confirmAccount", status);
      await expect(machine.boot()).rejects.toThrow("prove account: not this one");
      expect(account(machine)).toMatchObject({ enabled: false, ipmiMessaging: false, privilege: 15 });
      expect(machine.service.aborted?.step).toBe("prove account");
      expect(machine.service.aborted?.reason).toMatch(
        /^not this one\. User ID 3, "rivet\w+", the account that this run made: disabled/,
      );
      expect(JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3))).toBe(before);
      machine.service.hook = () => undefined;
      expect((await machine.boot()).kind).toBe("linked");
      expect(machine.ours()).toEqual([3]);
    },
  );

  test.each([
    FailureKind.FAILURE_KIND_LOGIN_REFUSED,
    FailureKind.FAILURE_KIND_PRIVILEGE,
    FailureKind.FAILURE_KIND_OTHER_BMC,
  ])("because the remote login fails for good (%s): the account is disabled, the service is told", async (kind) => {
    const machine = new Machine();
    machine.service.refuse = { kind, reason: "no way in" };
    expect(await machine.boot()).toMatchObject({ kind: "failed", failure: kind });
    expect(account(machine).enabled).toBe(false);
    expect(machine.service.aborted).toMatchObject({ step: "hand-off", inbandLocked: false });
    expect(machine.service.aborted?.reason).toMatch(/^no way in\. User ID 3, .*: disabled/);
    machine.service.refuse = undefined;
    expect((await machine.boot()).kind).toBe("linked");
    expect(machine.ours()).toEqual([3]);
  });

  test("because the BMC does not keep what it acknowledges: it is disabled as far as that works", async () => {
    const machine = new Machine();
    const faults = [
      {
        on: ({ cmd, data }: { cmd: number; data: Uint8Array }) => cmd === 0x47 && data[1] === 3,
        effect: { answer: 0x80 },
      },
    ];
    await expect(machine.boot({ faults })).rejects.toThrow("prove account");
    expect(account(machine).enabled).toBe(false);
    expect(machine.service.aborted?.reason).toContain("disabled");
  });

  test("and whose BMC refuses to take it back: the row says so", async () => {
    const machine = new Machine();
    refuse(machine, "confirmAccount", "refused");
    const isDisabling = ({ cmd, data }: { cmd: number; data: Uint8Array }) => cmd === 0x47 && data[1] === 0;
    await expect(machine.boot({ faults: [{ on: isDisabling, effect: { answer: 0xcc } }] })).rejects.toThrow();
    expect(machine.service.aborted?.reason).toMatch(/not this one\. User ID 3, .*not disabled/);
  });

  test("and whose BMC is busy from then on: that does not outlast the time of the run", async () => {
    const machine = new Machine();
    const clock = virtualClock();
    const limit = new AbortController();
    const over = clock.sleep(5_000).then(() => limit.abort(new Error("the time is over")));
    machine.service.hook = (when, name) => {
      if (when !== "before" || name !== "confirmAccount") return;
      machine.bmc.replaceFaults([{ count: "always", effects: [{ completionCode: 0xc0 }] }]);
      throw new ServiceError("refused", "not this one", { answered: true });
    };
    await expect(machine.boot({ clock, step: { signal: limit.signal } })).rejects.toThrow(
      "prove account: not this one",
    );
    expect(clock.now()).toBe(5_000);
    expect(machine.service.aborted?.reason).toMatch(/may not be: the time is over$/);
    await over;
  });

  test.each([
    ["in other letters", (name: string) => name.toUpperCase()],
    ["cut off", (name: string) => name.slice(0, 12)],
    ["with something behind it", (name: string) => `${name}A`],
  ])(
    "because the BMC keeps its name %s: it is closed, and the next boot leaves no other one open",
    async (_how, change) => {
      const machine = new Machine({ profile: spec });
      const nameOfOurs = ({ cmd, data }: { cmd: number; data: Uint8Array }) =>
        cmd === 0x46 && nameText(machine.bmc.user(data[0] ?? 0)).startsWith("rivet");
      const told = () => Buffer.from(change(nameText(account(machine))), "latin1");
      const openBmc = async () => {
        const transport = new SimulatedTransport(machine.bmc);
        const exchange = transport.exchange.bind(transport);
        transport.exchange = async (message, signal) => {
          const reply = await exchange(message, signal);
          return nameOfOurs(message) ? { ...reply, data: Buffer.concat([told(), Buffer.alloc(16)], 16) } : reply;
        };
        return transport;
      };
      for (let boots = 0; boots < 2; boots += 1) {
        const problem = /prove account: user 3: the BMC has made "\w+" of the name "rivet\w+", so nobody can log in/;
        await expect(machine.boot({ world: { openBmc } })).rejects.toThrow(problem);
        expect(machine.bmc.users.filter(({ id, enabled }) => id !== 2 && id !== 4 && enabled)).toEqual([]);
        expect(machine.service.aborted?.reason).toMatch(/User ID 3, .*: disabled, without rights, without a name\.$/);
      }
    },
  );

  test("leaves the slot alone when somebody else has taken it meanwhile", async () => {
    const machine = new Machine();
    machine.service.hook = (when, name) => {
      if (when !== "before" || name !== "confirmAccount") return;
      account(machine).name.set(Buffer.from("somebody-else\0\0\0"));
      throw new ServiceError("refused", "not this one", { answered: true });
    };
    await expect(machine.boot()).rejects.toThrow("not this one");
    expect(account(machine).enabled).toBe(true);
    expect(machine.service.aborted?.reason).toBe("not this one");
  });
});

describe("nothing is taken back", () => {
  const confirmedAndOpen = (machine: Machine) => {
    expect(account(machine).enabled).toBe(true);
    expect(machine.service.opens()).toBeDefined();
    expect(machine.bmc.writes.filter((each) => each === "Set User Name").length).toBeLessThanOrEqual(2);
  };

  test.each(["unavailable", "deadline", "internal", "exhausted", "unauthenticated"] as const)(
    "when the service answers %s: a later run may end better",
    async (status) => {
      const machine = new Machine();
      refuse(machine, "confirmAccount", status);
      await expect(machine.boot()).rejects.toThrow("prove account");
      confirmedAndOpen(machine);
    },
  );

  test("when the BMC cannot be reached from remote", async () => {
    const machine = new Machine();
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: "nobody answers" };
    expect((await machine.boot()).kind).toBe("failed");
    confirmedAndOpen(machine);
    expect(machine.service.aborted).toBeUndefined();
  });

  test("when the service need not log in", async () => {
    const machine = new Machine();
    machine.service.policy = { ...machine.service.policy, verificationRequired: false };
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_LOGIN_REFUSED, reason: "no way in" };
    expect((await machine.boot()).kind).toBe("unverified");
    confirmedAndOpen(machine);
  });

  test("in a rotation: the former account is gone, and this one may be the last way in", async () => {
    const machine = new Machine();
    await machine.boot();
    refuse(machine, "confirmAccount", "refused");
    await expect(machine.boot({ rotate: true })).rejects.toThrow("not this one");
    confirmedAndOpen(machine);
    machine.service.hook = () => undefined;
    machine.service.refuse = { kind: FailureKind.FAILURE_KIND_LOGIN_REFUSED, reason: "no way in" };
    expect((await machine.boot({ rotate: true })).kind).toBe("failed");
    expect(account(machine).enabled).toBe(true);
  });
});
