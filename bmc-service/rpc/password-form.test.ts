import { afterEach, beforeEach, expect, test } from "vitest";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
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

test("a BMC's kind tells the form of password to try first, once one was proved from remote", async () => {
  const kind = { manufacturerId: 10876, productId: 2404, firmwareVersion: "1.74" };
  const hintFor = async (uuid: string, mac: string, more: Partial<BmcFacts>) => {
    const other = new EnrollingAgent(service.agent);
    await other.begin(uuid);
    return (await other.report(factsOf(mac, more))).passwordFormHint;
  };
  await agent.begin(uuid1);
  expect((await agent.report(factsOf(mac1, kind))).passwordFormHint).toBe(PasswordForm.PASSWORD_FORM_UNSPECIFIED);
  await agent.confirm(await agent.escrow(mac1, "rivetab12", "Secret-pass-1234"), 3, PasswordForm.PASSWORD_FORM_TWENTY);
  expect(await hintFor(uuid2, mac2, kind)).toBe(PasswordForm.PASSWORD_FORM_UNSPECIFIED);
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
  await agent.handOff();
  expect(await hintFor(uuid2, mac2, kind)).toBe(PasswordForm.PASSWORD_FORM_TWENTY);
  expect(await hintFor(uuid2, mac2, { ...kind, firmwareVersion: "1.75" })).toBe(PasswordForm.PASSWORD_FORM_UNSPECIFIED);
  // What a short look leaves out is known of the row.
  expect(await hintFor(uuid1, mac1, { manufacturerId: 0, productId: 0, firmwareVersion: "", channels: [] })).toBe(
    PasswordForm.PASSWORD_FORM_TWENTY,
  );
  // A form of a later release is kept from the agents of this one.
  await agent.enrol(uuid1, mac1, "rivetnew", "Secret-pass-5678", factsOf(mac1, { ...kind, firmwareVersion: "1.75" }));
  await agent.confirm(await agent.escrow(mac1, "rivetnewer", "Secret-pass-9999"), 3, 77 as PasswordForm);
  bmc.users[0] = { slot: 3, name: "rivetnewer", password: "Secret-pass-9999" };
  await agent.handOff();
  expect(await hintFor(uuid2, mac2, { ...kind, firmwareVersion: "1.75" })).toBe(PasswordForm.PASSWORD_FORM_UNSPECIFIED);
});
