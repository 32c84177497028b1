import { expect, test } from "vitest";
import { EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
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

test("a session that asks for one hand-off after the other holds one place and lets others through", async () => {
  using site = await newSite();
  const [silent, bmc] = [new FakeBmc(mac1), new FakeBmc(mac2)];
  silent.gate = Promise.withResolvers<void>().promise;
  bmc.users.push({ slot: 3, name: "rivetab12", password: "Secret-pass-1234" });
  const connect: FakeBmc["connect"] = (login) => (login.host === "10.0.0.9" ? bmc : silent).connect(login);
  await using service = await startTestService(site, connect, {
    mostLogins: 2,
    handOffLimits: { totalMs: 600_000, retries: 1, firstWaitMs: 1 },
  });
  const greedy = new EnrollingAgent(service.agent);
  await greedy.begin(uuid1);
  await greedy.report(factsOf(mac1));
  const asked = [];
  for (let i = 0; i < 5; i += 1) {
    await greedy.escrow(mac1, `rivetgreedy${i}`, `Secret-pass-100${i}`);
    const stream = greedy.handOff();
    stream.catch(() => undefined);
    asked.push(stream);
    await expect.poll(() => service.metrics()).toContain("bmc_service_hand_offs_running 1\n");
  }
  expect(await service.metrics()).toContain("bmc_service_hand_offs_queued 1\n");

  const other = new EnrollingAgent(service.agent);
  await other.enrol(uuid2, mac2, "rivetab12", "Secret-pass-1234", factsOf(mac2, { ipv4Address: "10.0.0.9" }));
  expect(namesOf(await other.handOff()).at(-1)).toBe("handedOff");
  await service.running.stop(0);
  await Promise.allSettled(asked);
});

test("who asks with a newer account while a hand-off runs waits for the next one, and all who wait share it", async () => {
  using site = await newSite();
  const bmc = new FakeBmc(mac1);
  const gate = Promise.withResolvers<void>();
  bmc.gate = gate.promise;
  await using service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid1);
  await agent.report(factsOf(mac1));
  await agent.escrow(mac1, "rivetold1", "Secret-pass-0001");
  const streams = [agent.handOff()];
  await expect.poll(() => bmc.logins).toEqual(["rivetold1"]);
  for (const name of ["rivetnew1", "rivetnew2"]) {
    await agent.escrow(mac1, name, "Secret-pass-0002");
    streams.push(agent.handOff());
  }
  bmc.users.push({ slot: 3, name: "rivetnew2", password: "Secret-pass-0002" });
  gate.resolve();
  const ends = (await Promise.all(streams)).map((events) => namesOf(events).at(-1));
  expect(ends).toEqual(["failed", "handedOff", "handedOff"]);
  expect(bmc.logins.filter((name) => name === "rivetnew2")).toHaveLength(1);
});
