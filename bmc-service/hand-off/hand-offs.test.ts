import { expect, test } from "vitest";
import { EnrollingAgent, factsOf, mac1, namesOf, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, startTestService } from "../fixture/service.ts";
import { mostCandidates } from "./candidates.ts";

test("runs that died one after the other: the next hand-off tries what the last one has not", async () => {
  using site = await newSite();
  const bmc = new FakeBmc(mac1);
  await using service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  bmc.users.push({ slot: 3, name: "rivetold", password: "old-Password-1" });
  await agent.enrol(uuid1, mac1, "rivetold", "old-Password-1");
  expect(namesOf(await agent.handOff())).toContain("handedOff");

  // The first run died after Set User Name, the others before.
  for (const name of ["rivetnew1", "rivetnew2", "rivetnew3"]) {
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1));
    await agent.escrow(mac1, name, `${name}-Pw-2`);
  }
  Object.assign(bmc.users[0] ?? {}, { name: "rivetnew1" });

  const ends: (string | undefined)[] = [];
  while (ends.length < 4 && ends.at(-1) !== "handedOff") {
    bmc.logins.length = 0;
    ends.push(namesOf(await agent.handOff()).at(-1));
    expect(bmc.logins.length).toBeLessThanOrEqual(mostCandidates);
  }
  expect(ends.at(-1)).toBe("handedOff");
  expect(ends.length).toBeGreaterThan(1);
});
