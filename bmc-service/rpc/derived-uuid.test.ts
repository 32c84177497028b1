import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { GuidComparison } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, machineOf, namesOf, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

const bogus = "03000200-0400-0500-0006-000700080009";
const derived = ["988d6c78-1047-5bfa-b1bb-a463cbd8e412", "851e9175-17ef-55ca-b7ad-92d9e9fd9cb7"] as const;
const macs = [mac1, mac2] as const;

let site: Site;
let bmcs: Map<string, FakeBmc>;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  bmcs = new Map();
  service = await startTestService(site, (login) => {
    const bmc = bmcs.get(login.host);
    if (bmc === undefined) throw new Error(`the test has no BMC at ${login.host}`);
    return bmc.connect(login);
  });
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function begin(agent: EnrollingAgent, machine: Partial<Machine>) {
  const { enrolment } = service.agent;
  const begun = await call(enrolment, enrolment.begin, {
    machine: { ...machineOf(uuid1, "S-1"), ...machine },
    bootId: "boot-1",
    agentVersion: "metal-rivet test",
    enrolmentToken: Buffer.alloc(0),
    certificateRequest: Buffer.alloc(0),
  });
  agent.sessionToken = begun.sessionToken;
  return begun;
}

/** Machine number 0 or 1: same model, same board serial number, same filler as UUID. */
async function link(number: 0 | 1) {
  const [mac, uuid] = [macs[number], derived[number]];
  const agent = new EnrollingAgent(service.agent);
  await begin(agent, { uuid, uuidDerived: true, firmwareUuid: bogus.toUpperCase() });
  const facts = factsOf(mac, { ipv4Address: `10.0.0.${number + 1}` });
  const bmc = new FakeBmc(mac);
  bmc.guid = bogus.replaceAll("-", "");
  bmc.users.push({ slot: 3, name: "rivet01", password: "Secret-pass-1234" });
  bmcs.set(facts.ipv4Address, bmc);
  await agent.report(facts);
  await agent.confirm(await agent.escrow(mac, "rivet01", "Secret-pass-1234"));
  return { agent, bmc, events: () => agent.handOff() };
}

const rows = async () => (await call(service.operator.bmc, service.operator.bmc.listBmcs, {})).bmcs;

describe("machines with derived UUIDs", () => {
  test("are linked side by side, marked, and not taken for duplicates, though their firmware tells one UUID", async () => {
    for (const number of [0, 1] as const) {
      const { events } = await link(number);
      expect(namesOf(await events()).at(-1)).toBe("handedOff");
    }
    const warnings = [{ kind: WarningKind.WARNING_KIND_SHARED_CERTIFICATE }];
    const told = { uuidDerived: true, firmwareUuid: bogus };
    expect(await rows()).toMatchObject([
      { mac: mac1, machineUuid: derived[0], warnings, machine: { uuid: derived[0], ...told } },
      { mac: mac2, machineUuid: derived[1], warnings, machine: { uuid: derived[1], ...told } },
    ]);
    const linkage = (await begin(new EnrollingAgent(service.agent), { uuid: derived[0], uuidDerived: true })).linkage;
    expect(linkage).toMatchObject({ mac: mac1, fresh: true });
  });

  test("have no UUID that a BMC could tell as its GUID: that is no failure", async () => {
    const { events, bmc } = await link(0);
    bmc.guid = "00112233445566778899aabbccddeeff";
    const compared = (await events()).find(({ event }) => event?.$case === "guidCompared")?.event;
    expect(compared).toMatchObject({ value: { result: GuidComparison.GUID_COMPARISON_NOT_COMPARABLE } });
  });
});

test.each([
  ["a filler, derived or not", { uuid: bogus, uuidDerived: true }, /machine\.uuid: .*placeholder/],
  ["one that is not of version 5", { uuid: uuid1, uuidDerived: true }, /machine\.uuid: .*not of version 5/],
  [
    "what is no UUID in the firmware",
    { uuid: derived[0], uuidDerived: true, firmwareUuid: "x" },
    /machine\.firmware_uuid: /,
  ],
  ["one in the firmware beside its own", { firmwareUuid: bogus }, /machine\.firmware_uuid: .*whose UUID is derived/],
])("refused: %s", async (_what, machine, text) => {
  const refused = await refusal(begin(new EnrollingAgent(service.agent), machine));
  expect(refused).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(refused.details).toMatch(text);
  expect(await rows()).toEqual([]);
});
