import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { call, refusal } from "./fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, uuid1 } from "./fixture/enrolling.ts";
import { FakeBmc } from "./fixture/fake-bmc.ts";
import { newSite, type Site, startTestService } from "./fixture/service.ts";

let site: Site;

beforeEach(async () => {
  site = await newSite();
});

afterEach(() => {
  vi.restoreAllMocks();
  site[Symbol.dispose]();
});

/** The connections to databases that are opened from now on. */
function watchConnections(): Set<DatabaseSync> {
  const connections = new Set<DatabaseSync>();
  const execute = DatabaseSync.prototype.exec;
  vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (this: DatabaseSync, sql) {
    connections.add(this);
    return execute.call(this, sql);
  });
  return connections;
}

test("an account that a full disk does not take is refused, and all goes on when there is room", async () => {
  const connections = watchConnections();
  await using service = await startTestService(site, new FakeBmc(mac1).connect);
  const limitPages = (pages: number) => {
    for (const each of connections) if (each.location()?.endsWith(".db")) each.exec(`PRAGMA max_page_count = ${pages}`);
  };
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid1);
  await agent.report(factsOf(mac1));
  const { bmc: client } = service.operator;
  const accounts = async () => (await call(client, client.listAccounts, { mac: mac1, showSecrets: true })).accounts;

  limitPages(1);
  const stored: string[] = [];
  let refused: { code: string; details: string } | undefined;
  // The last page has room for some.
  for (let i = 0; refused === undefined && i < 100; i += 1) {
    const answer = agent.escrow(mac1, "rivetab12", `${canary}-${i}`);
    await answer.then(
      (id) => stored.unshift(id),
      async () => {
        refused = await refusal(answer);
      },
    );
  }
  // The agent asks again, and ends without having touched the BMC if there is no room in time.
  expect(refused).toMatchObject({ code: "UNAVAILABLE", details: expect.stringContaining("the disk is full") });
  expect(refused?.details).not.toContain(canary);
  const health = () => fetch(`http://127.0.0.1:${service.running.healthPort}/healthz`);
  const ill = await health();
  expect([ill.status, await ill.text()]).toEqual([503, expect.stringContaining("the disk is full")]);
  expect((await accounts()).map(({ id }) => id)).toEqual(stored);

  limitPages(1_000_000);
  expect((await health()).status).toBe(200);
  const id = await agent.escrow(mac1, "rivetab12", `${canary}-end`);
  expect((await accounts()).map((each) => each.id)).toEqual([id, ...stored]);
});
