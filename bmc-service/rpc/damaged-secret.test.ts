import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import { damageNewest } from "../fixture/stored-accounts.ts";

let site: Site;
let service: TestService;
let bmc: FakeBmc;
let damaged: string;

// One linked BMC whose newest account is damaged, and another one that is whole.
beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect);
  const other = new EnrollingAgent(service.agent);
  await other.enrol(uuid2, mac2, "rivetother", "Secret-pass-5678");
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234");
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  damaged = damageNewest(join(site.data, "bmc-service.db"));
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

test("what needs no secret works, what needs it names the account, and other rows are whole", async () => {
  const { bmc: client } = service.operator;
  expect((await call(client, client.listBmcs, {})).bmcs.map(({ mac }) => mac)).toEqual([mac1, mac2]);
  const shown = await call(client, client.getBmc, { key: mac1, showSecrets: false });
  expect(shown.bmc?.account).toMatchObject({ id: damaged, userName: "rivetab12", password: "" });
  await call(client, client.listAccounts, { mac: mac1, showSecrets: false });

  const text = `account ${damaged} ("rivetab12") of BMC ${mac1}: its password is damaged in the database`;
  const needing = [
    call(client, client.getBmc, { key: mac1, showSecrets: true }),
    call(client, client.listAccounts, { mac: mac1, showSecrets: true }),
    call(client, client.getPower, { mac: mac1 }),
  ];
  for (const refused of await Promise.all(needing.map(refusal))) {
    expect(refused).toMatchObject({ code: "DATA_LOSS", details: expect.stringContaining(text) });
  }
  const whole = await call(client, client.getBmc, { key: mac2, showSecrets: true });
  expect(whole.bmc?.account?.password).toBe("Secret-pass-5678");
});

test("the machine makes a new account when it boots the next time", async () => {
  const agent = new EnrollingAgent(service.agent);
  expect((await agent.begin(uuid1)).linkage).toMatchObject({ mac: mac1, fresh: false });
  bmc.users[0]!.password = "Secret-pass-new1";
  const id = await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-new1");
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  const { bmc: client } = service.operator;
  const { accounts } = await call(client, client.listAccounts, { mac: mac1, showSecrets: false });
  expect(accounts.map((each) => [each.id, each.state])).toEqual([
    [id, AccountState.ACCOUNT_STATE_VERIFIED],
    [damaged, AccountState.ACCOUNT_STATE_RETIRED],
  ]);
});

test("a hand-off with damaged accounts alone says so, and logs in to nobody", async () => {
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid1);
  const before = bmc.logins.length;
  const last = (await agent.handOff()).at(-1)?.event;
  expect(last).toMatchObject({
    $case: "failed",
    value: { reason: expect.stringContaining("a password that it can read") },
  });
  expect(bmc.logins).toHaveLength(before);
  const { bmc: client } = service.operator;
  expect((await call(client, client.getBmc, { key: mac1, showSecrets: false })).bmc?.state).toBe(State.STATE_FAILED);
});
