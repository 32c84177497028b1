import { describe, expect, test } from "vitest";
import { type StepName, stepNames } from "../../agent/step.ts";
import { hasOurShape } from "../../inband/account/credentials.ts";
import { shapedName } from "../../inband/account/shaped-name.fixture.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { noPolicy } from "../simulator/password-policy.ts";
import { strict } from "../simulator/profiles.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { nameText } from "../simulator/users.ts";
import { foreignUsers, Machine } from "./machine.ts";

/**
 * The machine loses its power at one instant: from then on the agent reaches nothing and nobody, not even to say so. Instants
 * are counted: before and after each IPMI command and each call to the service has taken effect.
 */
class PowerCut {
  readonly #at: number;
  instants = 0;
  dead = false;

  constructor(at: number) {
    this.#at = at;
  }

  instant(): void {
    if (!this.dead) this.instants += 1;
    if (this.instants > this.#at) this.dead = true;
    if (this.dead) throw new Error("the power is cut");
  }

  /**
   * Runs one boot that ends at the instant; false if it had ended before.
   * @param check called at every instant; what it throws fails the test, not the run
   */
  async boot(machine: Machine, rotate: boolean, check: () => void): Promise<boolean> {
    let failed: unknown;
    const watch = () => {
      try {
        check();
      } catch (error) {
        failed ??= error;
      }
    };
    machine.service.hook = () => {
      watch();
      this.instant();
    };
    const openBmc = async (): Promise<Transport> => {
      const inner = new SimulatedTransport(machine.bmc);
      return {
        name: inner.name,
        maxRequestBytes: inner.maxRequestBytes,
        exchange: async (message, signal) => {
          this.instant();
          const reply = await inner.exchange(message, signal);
          watch();
          this.instant();
          return reply;
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      };
    };
    await machine.boot({ rotate, world: { openBmc } }).catch(() => undefined);
    machine.service.hook = () => undefined;
    if (failed !== undefined) throw failed;
    return this.dead;
  }
}

/** No account of ours that can log in has a password that the service does not know. */
function noStrayAccount(machine: Machine): void {
  const open = machine.ours().filter((id) => machine.bmc.user(id).enabled && machine.bmc.user(id).ipmiMessaging);
  if (open.length > 0)
    expect(machine.service.opens(), "an open account of ours that the service cannot use").toBeDefined();
}

async function bootAgain(machine: Machine): Promise<void> {
  expect(["linked", "recognised"]).toContain((await machine.boot()).kind);
  expect(machine.ours()).toEqual([3]);
  expect(machine.service.opens()).toBeDefined();
}

describe("power cut at any instant", () => {
  test("of a first enrolment: the next boot links, with exactly one account of ours", async () => {
    let at = 0;
    for (; ; at += 1) {
      const machine = new Machine();
      const foreign = JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3));
      const cut = await new PowerCut(at).boot(machine, false, () => noStrayAccount(machine));
      noStrayAccount(machine);
      if (machine.service.accounts.length === 0) expect(machine.bmc.writes).toEqual([]);
      await bootAgain(machine);
      expect(JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3)), `instant ${at}`).toBe(foreign);
      if (!cut) break;
    }
    // Each of about 45 commands and 7 calls has two.
    expect(at).toBeGreaterThan(90);
  });

  test("of a rotation: at each instant the service has a name and a password that open the BMC", async () => {
    let at = 0;
    for (; ; at += 1) {
      const machine = new Machine();
      await machine.boot();
      const opens = () => expect(machine.service.opens(), `instant ${at}`).toBeDefined();
      const cut = await new PowerCut(at).boot(machine, true, opens);
      opens();
      await bootAgain(machine);
      if (!cut) break;
    }
    expect(at).toBeGreaterThan(90);
  });

  test("of an enrolment and a rotation on a BMC that refuses the first two passwords: a password of the service opens it", async () => {
    const picky = { ...strict, passwords: { ...strict.passwords, policy: { ...noPolicy, minLength: 20 } } };
    for (const rotate of [false, true]) {
      let at = 0;
      for (; ; at += 1) {
        const machine = new Machine({ profile: picky });
        if (rotate) await machine.boot();
        const opens = () => expect(machine.service.opens(), `instant ${at}`).toBeDefined();
        const check = rotate ? opens : () => noStrayAccount(machine);
        const cut = await new PowerCut(at).boot(machine, rotate, check);
        check();
        await bootAgain(machine);
        if (!cut) break;
      }
      expect(at).toBeGreaterThan(90);
    }
  });

  test("of a run that closes former accounts: the next boot leaves one of ours open, and the one after it is left alone", async () => {
    const orphans = [shapedName(1), shapedName(2)].map((name, i) => ({
      id: 8 + i,
      name,
      password: "forgotten",
    }));
    const stages = new Set<string>();
    for (let at = 0; ; at += 1) {
      const machine = new Machine({ bmc: { users: [...foreignUsers, ...orphans] } });
      const open = () =>
        machine.bmc.users.flatMap((user) => (user.enabled && hasOurShape("rivet", nameText(user)) ? [user.id] : []));
      const cut = await new PowerCut(at).boot(machine, false, () => undefined);
      stages.add(`${machine.service.linked} ${machine.service.formerAccounts} ${open()}`);
      expect(["linked", "recognised"]).toContain((await machine.boot()).kind);
      expect(open(), `instant ${at}`).toEqual([8]);
      expect(await machine.boot()).toMatchObject({ kind: "recognised", ipmi: { commands: 4 } });
      if (!cut) break;
    }
    // It was cut off after the hand-off, with the other account still open, closed and told.
    for (const stage of ["true 1 8,9", "true 1 8", "true 0 8"]) expect(stages).toContain(stage);
  });

  test("twice in a row, at each instant of the changes: still exactly one account of ours", async () => {
    // The changes are the last 20 instants or so; 13 is no divisor of anything here.
    for (let at = 60; at < 130; at += 2) {
      const machine = new Machine();
      await new PowerCut(at).boot(machine, false, () => noStrayAccount(machine));
      await new PowerCut((at * 13) % 130).boot(machine, true, () => noStrayAccount(machine));
      noStrayAccount(machine);
      await bootAgain(machine);
    }
  });
});

describe("death at a step", () => {
  const inOrder = stepNames.flatMap((step) => (["before", "after"] as const).map((when) => [when, step] as const));

  test.each(inOrder)(
    "%s %s: the service is told as far as it knows the machine, the next boot links",
    async (when, step) => {
      const machine = new Machine();
      let died: StepName | undefined;
      const hook = (now: string, name: StepName) => {
        if (now !== when || name !== step) return;
        died = name;
        throw new Error("out of memory");
      };
      await expect(machine.boot({ step: { hook } })).rejects.toThrow(`${step}: out of memory`);
      expect(died).toBe(step);
      const knows = step !== "identify machine" && step !== "begin";
      expect(machine.service.aborted).toEqual(
        knows ? { step, reason: "out of memory", inbandLocked: false } : undefined,
      );
      expect(machine.transport?.closed ?? true).toBe(true);
      await bootAgain(machine);
    },
  );
});
