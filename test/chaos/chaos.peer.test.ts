import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EnrolmentClient } from "../../agent/world.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { EscrowAccountRequest } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import type { Doubles } from "./agent-run.ts";
import { faultNames, faultsOf, parseCase } from "./fault.ts";
import { play } from "./play.ts";
import { Site } from "./site.ts";

/* What `npm run chaos` finds: agents and a service that are broken on purpose, and none in those that are not. */

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site[Symbol.asyncDispose]());

const played = async (text: string, doubles?: Doubles) =>
  await play(site, site.nextMac() ?? "", parseCase(text), 1, doubles);

describe("an agent that is broken", () => {
  test("by writing to the BMC before the service has the account", async () => {
    const client = (inner: EnrolmentClient): EnrolmentClient => {
      let late: EscrowAccountRequest | undefined;
      return {
        ...inner,
        escrowAccount: async (request) => {
          late = { ...request, password: Buffer.from(request.password) };
          return { accountId: "later" };
        },
        confirmAccount: async (request, signal) => {
          const { accountId } = await inner.escrowAccount(late as EscrowAccountRequest, signal);
          return await inner.confirmAccount({ ...request, accountId }, signal);
        },
      };
    };
    expect((await played("first", { client })).violation).toMatchObject({ kind: "unescrowed" });
  });

  test("by changing an account of somebody else", async () => {
    const transport = (inner: Transport, bmc: SimulatedBmc): Transport => ({
      ...inner,
      exchange: async (message, signal) => {
        const reply = await inner.exchange(message, signal);
        if (message.cmd === 0x47) bmc.user(2).enabled = false;
        return reply;
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    });
    expect((await played("first", { transport })).violation).toMatchObject({ kind: "foreign" });
  });

  test("by not ending its work", async () => {
    const client = (inner: EnrolmentClient): EnrolmentClient => ({
      ...inner,
      confirmAccount: async () => {
        throw new ServiceError("unavailable", "broken on purpose");
      },
    });
    expect((await played("first", { client })).violation).toMatchObject({ kind: "not linked" });
  });
});

test.each(["rotation agent-killed@after:step:escrow-account:1", "remote lan-cut@before:lan:set-user-password:1"])(
  "a service that is broken by retiring the old account too early: %s",
  async (doomed) => {
    await using forgetful = await Site.open({ program: join(import.meta.dirname, "forgetful-service.fixture.ts") });
    const { violation } = await play(forgetful, forgetful.nextMac() ?? "", parseCase(doomed), 1);
    expect(violation).toMatchObject({ kind: "lost" });
  },
);

describe("an account of ours that the service does not know", () => {
  const instant = "before:step:retire-former-accounts:1";

  test.each(["orphans", "rotated"])(
    "of a machine (%s) that dies before it is closed is closed at the next boot",
    async (from) => {
      const { hits, boots, violation } = await played(`${from} machine-reset@${instant}`);
      expect(violation).toBeUndefined();
      expect(hits.map(({ step }) => step)).toEqual(["retire former accounts"]);
      expect(boots).toBe(1);
    },
  );

  test("stays open with an agent that does not tell of it, and that is found", async () => {
    const client = (inner: EnrolmentClient): EnrolmentClient => ({
      ...inner,
      reportBmc: (request, signal) => inner.reportBmc({ ...request, formerAccounts: undefined }, signal),
    });
    const doomed = `orphans machine-reset@${instant}`;
    expect((await played(doomed, { client })).violation).toMatchObject({ kind: "duplicate" });
  });
});

test.each(faultNames.filter((each) => each !== "none"))(
  "%s at the escrow comes to pass, and the machine is linked",
  async (fault) => {
    const { hits, boots, violation } = await played(`rotation ${fault}@before:call:escrowaccount:1`);
    expect(violation).toBeUndefined();
    expect(hits).toHaveLength(1);
    const ends = /killed$|reset$|gone$|stays-full$/.test(fault) && fault !== "service-killed";
    expect(boots).toBe(ends ? 1 : 0);
  },
);

test.each(faultsOf("remote"))(
  "%s in a rotation from remote comes to pass, and the password is rotated",
  async (fault) => {
    const { hits, violation } = await played(`remote ${fault}@after:lan:set-user-password:1`);
    expect(violation).toBeUndefined();
    expect(hits.map(({ step }) => step)).toEqual(["rotation from remote"]);
  },
);
