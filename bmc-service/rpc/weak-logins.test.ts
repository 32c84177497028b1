import { afterEach, beforeEach, expect, test } from "vitest";
import {
  authenticationTypeEnables,
  cipherSuiteEntryCount,
  cipherSuiteEntryList,
  cipherSuitePrivilegeLevels,
} from "../../ipmi/lan-parameters.ts";
import { call } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

let site: Site;
let bmc: FakeBmc;
let service: TestService;
let agent: EnrollingAgent;

beforeEach(async () => {
  site = await newSite();
  bmc = new FakeBmc(mac1);
  service = await startTestService(site, bmc.connect);
  agent = new EnrollingAgent(service.agent);
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

const levelsOf = (...levels: number[]) => ({
  reserved: 0,
  levels: [...levels, ...new Array(16 - levels.length).fill(0)],
});

/** Cipher suites 0, 1, 3 and 17, each with its greatest privilege, and whether IPMI 1.5 lets in whoever comes. */
function tellLogins(levels: readonly number[], none: boolean): void {
  const suites = new Uint8Array(16);
  suites.set([0, 1, 3, 17]);
  const types = { none, md2: false, md5: true, password: false, oem: false };
  const enables = { callback: types, user: types, operator: types, administrator: types, oem: types };
  bmc.lanParameters.set(22, cipherSuiteEntryCount.encode({ count: 4 }));
  bmc.lanParameters.set(23, cipherSuiteEntryList.encode({ reserved: 0, suites }));
  bmc.lanParameters.set(24, cipherSuitePrivilegeLevels.encode(levelsOf(...levels)));
  bmc.lanParameters.set(2, authenticationTypeEnables.encode(enables));
}

async function handOff(): Promise<readonly string[]> {
  bmc.users[0] = { slot: 3, name: "rivetab12", password: "Secret-pass-1234" };
  await agent.enrol(uuid1, mac1, "rivetab12", "Secret-pass-1234", factsOf(mac1, { findings: ["The board is warm."] }));
  await agent.handOff();
  return await findings();
}

async function findings(): Promise<readonly string[]> {
  const { bmc: client } = service.operator;
  const { bmc: row } = await call(client, client.getBmc, { key: mac1, showSecrets: false });
  return row?.facts?.findings ?? [];
}

const zeroAndOne = "Logins with cipher suites 0 and 1 are allowed on channel 1.";
const none = 'Logins with authentication type "none" are allowed on channel 1.';

test("logins without a good password are found from remote and stand beside the agent's findings", async () => {
  tellLogins([4, 2, 4, 4], true);
  expect(await handOff()).toEqual(["The board is warm.", zeroAndOne, none]);
});

test("what was switched off is no finding any more", async () => {
  tellLogins([4, 0, 4, 4], false);
  expect(await handOff()).toEqual(["The board is warm.", "Logins with cipher suite 0 are allowed on channel 1."]);
  tellLogins([0, 0, 4, 4], false);
  await agent.handOff();
  expect(await findings()).toEqual(["The board is warm."]);
});

test("a later report of the agent does not take them away", async () => {
  tellLogins([4, 4, 4, 4], false);
  await handOff();
  await agent.report(factsOf(mac1, { findings: ["A former account was closed."] }));
  expect(await findings()).toEqual(["A former account was closed.", zeroAndOne]);
});

test("a BMC that does not tell is linked all the same, and what was seen before stays", async () => {
  tellLogins([4, 4, 4, 4], false);
  expect(await handOff()).toEqual(["The board is warm.", zeroAndOne]);
  bmc.lanParameters.delete(24);
  await agent.handOff();
  expect(await findings()).toEqual(["The board is warm.", zeroAndOne]);
});
