import { describe, expect, test } from "vitest";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, namesOf, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, startTestService } from "../fixture/service.ts";

describe("a linked BMC that is reported at another address", () => {
  const moved = factsOf(mac1, { ipv4Address: "10.0.0.99" });
  const account = { slot: 3, name: "rivetab12", password: "Secret-pass-1234" };

  /** @param there what answers at the other address */
  async function linkedSite(there: FakeBmc["connect"]) {
    const site = await newSite();
    const bmc = new FakeBmc(mac1);
    bmc.users.push(account);
    const service = await startTestService(
      site,
      (login) => (login.host === "10.0.0.99" ? there(login) : bmc.connect(login)),
      { handOffLimits: { totalMs: 600_000, retries: 0, firstWaitMs: 1 } },
    );
    const agent = new EnrollingAgent(service.agent);
    await agent.enrol(uuid1, mac1, account.name, account.password);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    const again = new EnrollingAgent(service.agent);
    await again.begin(uuid1);
    return { site, bmc, service, again };
  }

  test("where nobody answers: operators do not wait for that", async () => {
    const silent = new FakeBmc(mac1);
    silent.gate = Promise.withResolvers<void>().promise;
    const { site, service, again } = await linkedSite(silent.connect);
    using _ = site;
    await using __ = service;
    const reporting = again.report(moved).catch(() => undefined);
    await expect.poll(() => silent.logins).toHaveLength(1);
    const { bmc: client } = service.operator;
    expect(await call(client, client.getPower, { mac: mac1 })).toMatchObject({ powerOn: true });
    await service.running.stop(0);
    await reporting;
  });

  test("gets no new account before a login there has come to its end", { timeout: 15_000 }, async () => {
    const gate = Promise.withResolvers<void>();
    const there = new FakeBmc(mac1);
    there.users.push({ ...account });
    there.gate = gate.promise;
    const { site, service, again } = await linkedSite(there.connect);
    using _ = site;
    await using __ = service;
    await again.report(moved);
    expect(await refusal(again.escrow(mac1, "rivetnew", "New-password-456"))).toMatchObject({
      code: "UNAVAILABLE",
      details: expect.stringContaining("a login there is under way: try again"),
    });
    gate.resolve();
    await expect.poll(() => again.escrow(mac1, "rivetnew", "New-password-456").catch(() => "")).not.toBe("");
    Object.assign(there.users[0] ?? {}, { name: "rivetnew", password: "New-password-456" });
    expect(namesOf(await again.handOff()).at(-1)).toBe("handedOff");
  });
});
