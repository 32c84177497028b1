import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import { call } from "../fixture/clients.ts";
import { factsOf, mac2, namesOf, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { LinkedSite } from "../fixture/linked-site.ts";
import { TokenMachine } from "../fixture/token-machine.ts";
import { Database } from "./database.ts";

/** May look at all rows: it runs once a second, whatever comes in. */
const countsRows = /^SELECT \(SELECT count/;

test("no step of an enrolment looks at the rows of all machines", async () => {
  await using linked = await LinkedSite.make();
  const { service, site, bmcs } = linked;
  const account = { slot: 3, name: "rivetcd34", password: "Other-pass-5678-zZ" };
  const bmc = new FakeBmc(mac2);
  bmcs.set("10.0.0.9", bmc);
  const statements = spyOnStatements();

  const { bmc: client } = service.admin;
  const { text } = await call(client, client.createToken, { machineUuid: uuid2, ttlSeconds: 900, uses: 1 });
  using machine = await TokenMachine.make(service.running.port, site.pki, uuid2);
  await machine.beginWith(text.toString());
  const agent = machine.goOn();
  await agent.report(factsOf(mac2, { ipv4Address: "10.0.0.9" }));
  await agent.confirm(await agent.escrow(mac2, account.name, account.password));
  await agent.reportInventoryOf(1n);
  bmc.users.push(account);
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");

  expect(statements.size).toBeGreaterThan(20);
  expect(scansOf(join(site.data, "bmc-service.db"), statements)).toEqual([]);
});

/** @returns what is asked of any database from now on */
function spyOnStatements(): ReadonlySet<string> {
  const statements = new Set<string>();
  for (const method of ["get", "all", "run"] as const) {
    const real = Database.prototype[method] as (...values: unknown[]) => unknown;
    const spy = vi.spyOn(Database.prototype, method).mockImplementation(function (this: Database, sql, ...values) {
      statements.add(sql);
      return real.call(this, sql, ...values) as never;
    });
    onTestFinished(() => spy.mockRestore());
  }
  return statements;
}

/** The statements that read a whole table which grows with the machines. */
function scansOf(path: string, statements: ReadonlySet<string>): string[] {
  using database = new DatabaseSync(path, { readOnly: true });
  const isScan = (detail: unknown) => /^SCAN (?:machines|bmcs|accounts|sessions|history)\b/.test(String(detail));
  return [...statements]
    .filter((sql) => /^\s*(?:SELECT|UPDATE|DELETE|INSERT)\b/.test(sql) && !countsRows.test(sql))
    .filter((sql) => {
      const values = Array.from(sql.matchAll(/\?/g), () => null);
      return database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...values)
        .some(({ detail }) => isScan(detail));
    });
}
