import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Command } from "../../ipmi/command.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { setUserAccess } from "../../ipmi/commands/set-user-access.ts";
import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { Secret } from "../../ipmi/secret.ts";
import type { Message, Transport } from "../../ipmi/transport.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { type Doubles, play } from "./property-play.ts";
import { checkProperties, failureText } from "./property-runs.ts";
import { scenarios } from "./property-scenario.ts";

test("whatever goes wrong: accounts of others are as they were, ours opens by what is in escrow, and each run ends", async () => {
  const seed = 20_247;
  const { outcomes, played, failure } = await checkProperties({ count: 300, seed });
  expect(failure && failureText(failure, seed)).toBeUndefined();
  expect(played).toBe(300);
  // Else nothing went wrong, or nothing well.
  for (const outcome of ["linked", "recognised", "error", "failed", "power cut"]) {
    expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
  }
}, 60_000);

/** The same transport, with something before or after each message. */
function meddling(inner: Transport, before: (message: Message) => void, after: (message: Message) => void): Transport {
  return {
    name: inner.name,
    maxRequestBytes: inner.maxRequestBytes,
    async exchange(message, signal) {
      before(message);
      const reply = await inner.exchange(message, signal);
      after(message);
      return reply;
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

function messageOf<Q, P>(command: Command<Q, P>, request: NoInfer<Q>): Message {
  return { netFn: command.netFn, lun: 0, cmd: command.cmd, data: command.encodeRequest(request) };
}

/** Disabling, taking the rights, taking the name. */
function closesAccount({ cmd, data }: Message): boolean {
  if (cmd === setUserPassword.cmd) return data[1] === 0;
  if (cmd === setUserAccess.cmd) return data[2] === 15;
  return cmd === setUserName.cmd && data.subarray(1).every((each) => each === 0);
}

/** Each breaks one thing around the agent that the agent itself would never break. */
const broken: readonly [what: string, doubles: Doubles, violation: RegExp][] = [
  [
    "a service that acknowledges an account which it has not stored",
    { client: (inner) => ({ ...inner, escrowAccount: async () => ({ accountId: "1" }) }) },
    /which is not ours/,
  ],
  [
    "name and password written before their escrow",
    {
      transport: (inner, bmc) =>
        meddling(
          inner,
          ({ cmd }) => {
            const slot = bmc.users.length;
            if (cmd !== getUserName.cmd) return;
            bmc.handle(messageOf(setUserName, { userId: slot, userName: "rivetearly" }));
            const password = Secret.password("Written-2-early!", 16);
            const request = { user: { twentyBytes: false, id: slot }, action: { operation: "set" as const }, password };
            bmc.handle(messageOf(setUserPassword, request));
          },
          () => undefined,
        ),
    },
    /which is not ours|never in escrow/,
  ],
  [
    "a BMC that changes another password than the one that it is told (old Supermicro firmware)",
    {
      transport: (inner, bmc) =>
        meddling(
          inner,
          () => undefined,
          ({ cmd }) => {
            const [, neighbour] = bmc.users;
            if (cmd === setUserPassword.cmd && neighbour !== undefined) neighbour.password = new Uint8Array(20);
          },
        ),
    },
    /which is not ours|never in escrow|has none any more/,
  ],
  [
    "a service that forgets the account in use when it stores the next one",
    {
      client: (inner, service) => ({
        ...inner,
        async escrowAccount(request, signal) {
          service.accounts.length = 0;
          return await inner.escrowAccount(request, signal);
        },
      }),
    },
    /has none any more|which is not ours|never in escrow/,
  ],
  [
    "an error that quotes the password",
    {
      client: (inner) => ({
        ...inner,
        async escrowAccount(request, signal) {
          await inner.escrowAccount(request, signal);
          throw new ServiceError("invalid", `not good enough: ${Buffer.from(request.password).toString("latin1")}`);
        },
      }),
    },
    /a password was shown/,
  ],
  [
    "a way to the BMC that cannot be closed",
    {
      transport: (inner) => ({
        ...meddling(
          inner,
          () => undefined,
          () => undefined,
        ),
        [Symbol.asyncDispose]: () => new Promise<never>(() => undefined),
      }),
    },
    /never ends/,
  ],
  [
    "a BMC that takes the closing of a former account and does not do it",
    {
      transport: (inner) => ({
        ...meddling(
          inner,
          () => undefined,
          () => undefined,
        ),
        exchange: async (message, signal) =>
          closesAccount(message)
            ? { completionCode: 0, data: new Uint8Array() }
            : await inner.exchange(message, signal),
      }),
    },
    /accounts of ours are enabled in the end/,
  ],
  ["an exit code that says done after a failure", { ended: (end) => ({ ...end, exitCode: 0 }) }, /do not agree/],
  [
    "an error of nobody's",
    { client: (inner) => ({ ...inner, reportBmc: () => Promise.reject(new TypeError("x is not a function")) }) },
    /a bug/,
  ],
];

describe("the property breaks on", () => {
  test.each(broken)("%s", async (_, doubles, violation) => {
    const property = fc.asyncProperty(scenarios(["strict"]), async (scenario) => {
      await play(scenario, doubles);
    });
    const { failed, errorInstance } = await fc.check(property, { numRuns: 200, seed: 1, endOnFailure: true });
    expect(failed).toBe(true);
    expect(String(errorInstance)).toMatch(violation);
  });
});

test("a failure names the scenario, made small, and how to play it again", async () => {
  const property = fc.asyncProperty(scenarios(["strict"]), async (scenario) => {
    await play(scenario, { ended: (end) => ({ ...end, exitCode: 70 }) });
  });
  const { counterexample, counterexamplePath, errorInstance: error } = await fc.check(property, { seed: 1 });
  if (counterexample === null || counterexamplePath === null) throw new Error("nothing was found");
  const [scenario] = counterexample;
  expect(scenario).toMatchObject({ history: [], boots: [{ ipmiFaults: [], serviceFaults: [] }] });
  const text = failureText({ scenario, path: counterexamplePath, error }, 1);
  expect(text).toMatch(/^run \d: outcome and exit code do not agree: linked, exit code 70/);
  expect(text).toContain(`--seed 1 --path ${counterexamplePath}`);
});

test("the same scenario takes the same course", async () => {
  const [scenario] = fc.sample(scenarios(["strict"]), { numRuns: 1, seed: 5 });
  if (scenario === undefined) throw new Error("no sample");
  expect(await play(scenario)).toEqual(await play(scenario));
});
