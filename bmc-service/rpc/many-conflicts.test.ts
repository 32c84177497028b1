import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { refusal } from "../fixture/clients.ts";
import { factsOf, mac1, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { LinkedSite } from "../fixture/linked-site.ts";

let linked: LinkedSite;

beforeEach(async () => {
  linked = await LinkedSite.make();
});
afterEach(() => linked[Symbol.asyncDispose]());

const begun = (uuid: string, serial = "") => linked.begun(uuid, serial);
const rowOf = (key: string) => linked.rowOf(key);
const conflicts = () => linked.conflicts();
const accept = (id: string) => linked.resolve(id, ConflictDecision.CONFLICT_DECISION_ACCEPTED);

/** As if so many claims against the linked BMC had been made long ago. */
function fill(number: number, uuid: string): void {
  const database = new DatabaseSync(join(linked.site.data, "bmc-service.db"));
  const sql = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_by, text, first_at, last_at, count)
    SELECT ?, ?, i, '', 'agent', 't', i, i, 1 FROM n`;
  database.prepare(sql).run(number, mac1, uuid);
  database.close();
}

describe("the claim that counts is found among many of a stranger's", () => {
  const right = "52:54:00:b1:00:55";
  const claimOther = async (mac: string) => refusal((await begun(uuid1)).report(factsOf(mac)));

  test("by other machines: who has the UUID of the linked one has places of its own", async () => {
    fill(48, uuid2);
    for (const serial of ["S-1", "S-2", "S-3"]) await refusal((await begun(uuid2, serial)).report(factsOf(mac1)));
    await claimOther(right);
    const all = await conflicts();
    const own = all.filter(({ machineUuid }) => machineUuid === uuid1);
    expect(own).toMatchObject([{ claimedMac: right, count: 1 }]);
    expect(all.find(({ key }) => key === "")).toMatchObject({ count: 1 });
    expect(all).toHaveLength(52);
    await accept(own[0]?.id ?? "");
    await (await begun(uuid1)).report(factsOf(right));
    expect(await rowOf(uuid1)).toMatchObject({ key: right });
  });

  test("in its name: the one that was not made for the longest time goes", async () => {
    fill(9, uuid1);
    for (const mac of ["52:54:00:b1:01:97", "52:54:00:b1:01:98", right]) await claimOther(mac);
    await claimOther("52:54:00:b1:01:99");
    const own = (await conflicts()).filter(({ machineUuid }) => machineUuid === uuid1);
    expect(own).toHaveLength(10);
    expect(own.slice(0, 2).map(({ claimedMac }) => claimedMac)).toEqual(["52:54:00:b1:01:99", right]);
    // A flood fills no history: of what took the place of another one there is none.
    expect((await linked.actions()).filter((action) => action === "conflict")).toHaveLength(1);
  });
});
