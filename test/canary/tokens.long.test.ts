import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { call } from "../../bmc-service/fixture/clients.ts";
import { canary, factsOf, mac1, namesOf, uuid1, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import { FakeBmc } from "../../bmc-service/fixture/fake-bmc.ts";
import { newSite, startTestService } from "../../bmc-service/fixture/service.ts";
import { TokenMachine } from "../../bmc-service/fixture/token-machine.ts";
import { makeToken } from "../../bmc-service/tokens/token-text.ts";
import { filesHolding, valuesHolding } from "./search.ts";

/* Enrolment tokens that are good, spent, revoked, too old, another machine's, nobody's or no token at all: none is told again. */

test("whatever becomes of an enrolment token, it is in no log, refusal, answer, metric or file", async () => {
  using site = await newSite();
  const bmc = new FakeBmc(mac1);
  bmc.users.push({ slot: 3, name: "rivetab12cd34ef", password: canary });
  const service = await startTestService(site, bmc.connect);
  await using stack = new AsyncDisposableStack();
  stack.use(service);
  const { bmc: operator } = service.operator;
  const secrets = [canary];
  const create = async (machineUuid: string) => {
    const { text, token } = await call(operator, operator.createToken, { machineUuid, ttlSeconds: 60, uses: 1 });
    secrets.push(text.toString());
    return { text: text.toString(), id: token?.id ?? "" };
  };
  const machine = async (uuid: string) => stack.use(await TokenMachine.make(service.running.port, site.pki, uuid));

  const good = await create(uuid1);
  const first = await machine(uuid1);
  const { sessionToken } = await first.beginWith(good.text);
  secrets.push(sessionToken);
  const agent = first.goOn();
  await agent.report(factsOf(mac1));
  await agent.confirm(await agent.escrow(mac1, "rivetab12cd34ef", canary));
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  const revoked = await create(uuid2);
  await call(operator, operator.revokeToken, { id: revoked.id });
  const old = await create(uuid2);
  const database = new DatabaseSync(join(site.data, "bmc-service.db"));
  database.prepare("UPDATE tokens SET expires_at = ? WHERE id = ?").run(Date.now() - 1, old.id);
  database.close();
  const others = await create(uuid1);
  const nobodys = makeToken().text.toString();
  secrets.push(nobodys);
  const refused = [good.text, revoked.text, old.text, others.text, nobodys, `${nobodys}0`, nobodys.slice(0, -1)];
  const refusals: unknown[] = [];
  for (const text of refused) {
    const stranger = await machine(uuid2);
    refusals.push(
      await stranger.beginWith(text).then(
        () => "it was let in",
        (error: unknown) => error,
      ),
    );
  }
  expect(refusals.filter((each) => !(each instanceof Error))).toEqual([]);

  const { bmc: admin } = service.admin;
  const told = {
    refusals,
    tokens: await call(operator, operator.listTokens, {}),
    rows: await call(operator, operator.listBmcs, {}),
    history: await call(operator, operator.listHistory, { key: mac1, limit: 0 }),
    audit: await call(admin, admin.listAudit, { limit: 0, key: "", before: 0n }),
    metrics: await service.metrics(),
    log: service.log,
  };
  expect(service.log.join("")).toContain(good.id);
  expect(valuesHolding(secrets, told)).toEqual([]);
  expect(filesHolding(secrets, site.directory)).toEqual([]);
});
