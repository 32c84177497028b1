import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { call, refusal } from "../fixture/clients.ts";
import { type EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { known, LinkedSite } from "../fixture/linked-site.ts";
import { TokenMachine } from "../fixture/token-machine.ts";

let linked: LinkedSite;
beforeEach(async () => {
  linked = await LinkedSite.make();
});
afterEach(() => linked[Symbol.asyncDispose]());

async function reported(uuid = uuid1, mac = mac1): Promise<EnrollingAgent> {
  const agent = await linked.begun(uuid);
  await agent.report(factsOf(mac));
  return agent;
}

/** @param number as many accounts as a BMC may have that no login has tried */
async function fill(uuid = uuid1, mac = mac1, number = 500): Promise<void> {
  await (await reported(uuid, mac)).escrow(mac, "rivetloop", "Loop-password-1");
  using database = new DatabaseSync(join(linked.site.data, "bmc-service.db"));
  const columns =
    "bmc_key, session_id, user_name, sealed_password, slot, channel, proof, state, state_reason, created_at";
  database.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${number - 1})
    INSERT INTO accounts (id, ${columns}) SELECT 'loop' || i, ${columns} FROM accounts, n WHERE user_name = 'rivetloop'`);
}

test("a proved BMC with too many accounts in escrow gets no more until a login has settled them, which follows at once", async () => {
  await fill();
  expect(await linked.accounts()).toHaveLength(501);
  const agent = await reported();
  // The oldest of them is there still: it may be live.
  expect((await linked.accounts()).at(-2)?.[0]).toBe("rivetloop");
  const refused = await refusal(agent.escrow(mac1, "rivetnew", "New-password-456"));
  expect(refused).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    details: expect.stringContaining("500 accounts in escrow"),
  });
  expect(linked.service.log.join("")).toContain('"attack":"flood"');
  await expect
    .poll(async () => (await linked.accounts()).filter(([, state]) => state === AccountState.ACCOUNT_STATE_ESCROWED))
    .toEqual([]);
  expect(await linked.rowOf(mac1)).toMatchObject({ state: State.STATE_LINKED, account: { userName: known.name } });
  await agent.escrow(mac1, "rivetnew", "New-password-456");
  expect(await linked.accounts()).toContainEqual([known.name, AccountState.ACCOUNT_STATE_VERIFIED]);
});

test("a machine for which an operator has made a token is not kept out by those", async () => {
  await fill();
  const { service, site } = linked;
  using machine = await TokenMachine.make(service.running.port, site.pki, uuid1);
  const { bmc: client } = service.operator;
  const made = await call(client, client.createToken, { machineUuid: uuid1, ttlSeconds: 0, uses: 1 });
  await machine.beginWith(made.text.toString());
  const agent = machine.goOn();
  await agent.report(factsOf(mac1));
  await agent.escrow(mac1, "rivetnew", "New-password-456");
  expect((await linked.accounts())[0]).toEqual(["rivetnew", AccountState.ACCOUNT_STATE_ESCROWED]);
});

test("one that was never proved gets no more either: none is pushed out", async () => {
  await fill(uuid2, mac2);
  const refused = await refusal((await reported(uuid2, mac2)).escrow(mac2, "rivetnew", "New-password-456"));
  expect(refused).toMatchObject({ code: "RESOURCE_EXHAUSTED", details: expect.stringContaining("until one has") });
  const { bmc: client } = linked.service.viewer;
  const { accounts } = await call(client, client.listAccounts, { mac: mac2, showSecrets: false });
  expect(accounts).toHaveLength(500);
});

test("where there are many that no login has tried, one enrolment leaves room for others", async () => {
  await fill(uuid1, mac1, 250);
  const greedy = await reported();
  for (let i = 0; i < 8; i += 1) await greedy.escrow(mac1, "rivetgreedy", `Greedy-password-${i}`);
  expect(await refusal(greedy.escrow(mac1, "rivetgreedy", "Greedy-password-8"))).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    details: expect.stringContaining("this enrolment has 8 accounts"),
  });
  await (await reported()).escrow(mac1, "rivetnew", "New-password-456");
});
