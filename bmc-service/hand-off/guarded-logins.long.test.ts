import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { call } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

const account1 = { slot: 3, name: "rivetab12", password: "Secret-pass-1234" };
const account2 = { slot: 3, name: "rivetcd34", password: "Secret-pass-5678" };
/** By address; nobody answers anywhere else. */
const bmcs = new Map<string, FakeBmc>();
let site: Site;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  const nobody = new FakeBmc(mac1);
  nobody.deafFor = Number.POSITIVE_INFINITY;
  service = await startTestService(site, (login) => (bmcs.get(login.host) ?? nobody).connect(login));
});
afterEach(async () => {
  vi.useRealTimers();
  bmcs.clear();
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

function bmcAt(address: string, mac: string): FakeBmc {
  const bmc = new FakeBmc(mac);
  bmcs.set(address, bmc);
  return bmc;
}

async function linked(uuid: string, mac: string, account: typeof account1, address: string): Promise<FakeBmc> {
  const bmc = bmcAt(address, mac);
  bmc.users.push({ ...account });
  const agent = await enrolled(uuid, mac, account, address);
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  bmc.logins.length = 0;
  return bmc;
}

async function enrolled(uuid: string, mac: string, account: typeof account1, address: string, more = {}) {
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid, mac, account.name, account.password, factsOf(mac, { ipv4Address: address, ...more }));
  return agent;
}

async function failureOf(agent: EnrollingAgent) {
  const last = (await agent.handOff()).at(-1)?.event;
  return last?.$case === "failed" ? last.value : undefined;
}

const evil = (n: number) => ({ ...account1, password: `Evil-password-${n}0` });

test.each([
  ["its IPv4 address", { ipv4Address: "10.0.0.8" }],
  ["that address in the form of IPv6", { ipv4Address: "", ipv6Addresses: ["::ffff:10.0.0.8"] }],
  ["another one of its addresses", { ipv4Address: "", ipv6Addresses: ["2001:db8::8/64"] }],
])("a linked BMC gets no wrong login by a machine that is said to be at %s", async (_, facts) => {
  const bmc = bmcAt("10.0.0.8", mac1);
  bmc.users.push({ ...account1 });
  bmcs.set("::ffff:10.0.0.8", bmc).set("2001:db8::8", bmc);
  const told = { ipv6Addresses: ["2001:db8::8/64"] };
  const right = await enrolled(uuid1, mac1, account1, "10.0.0.8", told);
  expect(namesOf(await right.handOff()).at(-1)).toBe("handedOff");
  bmc.logins.length = 0;
  for (let n = 0; n < 3; n += 1) {
    const stranger = await enrolled(uuid2, mac2, evil(n), "", facts);
    expect(await failureOf(stranger)).toMatchObject({
      kind: FailureKind.FAILURE_KIND_OTHER_BMC,
      reason: expect.stringContaining(`BMC ${mac1} of machine ${uuid1} is at that address`),
    });
  }
  // With the account that was proved, each time: that locks nobody out.
  expect(bmc.logins).toEqual([account1.name, account1.name, account1.name]);
  expect(service.log.join("")).toContain('"attack":"another BMC"');
});

test("whether a linked BMC is at its address still is asked, and while it does not answer nothing is tried", async () => {
  const bmc = await linked(uuid1, mac1, account1, "10.0.0.8");
  bmc.deafFor = 3;
  const stranger = await enrolled(uuid2, mac2, account2, "10.0.0.8");
  expect(await failureOf(stranger)).toMatchObject({
    kind: FailureKind.FAILURE_KIND_UNREACHABLE,
    reason: expect.stringContaining("whether it is there still could not be found out"),
  });
  expect(new Set(bmc.logins)).toEqual(new Set([account1.name]));
});

test("an address that a linked BMC had before is another one's now", async () => {
  await linked(uuid1, mac1, account1, "10.0.0.8");
  await linked(uuid2, mac2, account2, "10.0.0.8");
});

test("two linked BMCs whose addresses were exchanged are followed, by the accounts that were proved", async () => {
  const one = await linked(uuid1, mac1, account1, "10.0.0.8");
  const other = await linked(uuid2, mac2, account2, "10.0.0.9");
  bmcs.set("10.0.0.8", other).set("10.0.0.9", one);
  for (const [uuid, mac, address] of [
    [uuid1, mac1, "10.0.0.9"],
    [uuid2, mac2, "10.0.0.8"],
  ] as const) {
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid);
    await agent.report(factsOf(mac, { ipv4Address: address }));
    const { bmc: client } = service.operator;
    const { bmc } = await call(client, client.getBmc, { key: mac, showSecrets: false });
    expect(bmc?.address).toBe(address);
  }
});

test("where nobody was proved to be few logins are refused, however many machines say that they are there", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const bmc = bmcAt("10.0.0.8", mac1);
  bmc.users.push({ ...account1 });
  const machines = Array.from({ length: 3 }, (_, n) => [
    `5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e1${n}`,
    `52:54:00:b1:01:0${n}`,
  ]);
  for (const [n, [uuid = "", mac = ""]] of machines.entries()) {
    const stranger = await enrolled(uuid, mac, evil(n), "10.0.0.8");
    await stranger.confirm(await stranger.escrow(mac, account1.name, `Evil-password-${n}1`));
    expect(namesOf(await stranger.handOff()).at(-1)).toBe("failed");
  }
  expect(bmc.logins).toHaveLength(4);
  const right = await enrolled(uuid1, mac1, account1, "10.0.0.8");
  expect(await failureOf(right)).toMatchObject({
    kind: FailureKind.FAILURE_KIND_UNREACHABLE,
    reason: expect.stringContaining("4 logins in 15 minutes were refused there"),
  });
  vi.advanceTimersByTime(15 * 60_000 + 1);
  expect(namesOf(await right.handOff()).at(-1)).toBe("handedOff");
});
