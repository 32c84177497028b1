import { expect, test } from "vitest";
import { Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { FleetMachine } from "./fleet-machine.ts";
import { lost } from "./lost.ts";

const machines = Array.from({ length: 250 }, (_, i) => new FleetMachine(i));

/** A service that holds what it has acknowledged, but for what `change` makes of the row of one machine. */
function service(change: (row: Bmc) => Bmc | undefined = (row) => row, number = 0) {
  const rows = machines.flatMap(({ mac, uuid, userName, password, inventory }, i) => {
    const account = { userName, password };
    const row = Bmc.fromPartial({ mac, machineUuid: uuid, state: State.STATE_LINKED, account, inventory });
    return (i === number ? change(row) : row) ?? [];
  });
  return {
    listBmcs: async () => ({ bmcs: rows }),
    getBmc: async ({ key }: { readonly key: string }) => ({ bmc: rows.find(({ mac }) => mac === key) }),
  };
}

test("nothing is lost where all is there", async () => {
  expect(await lost(service(), machines, true)).toEqual([]);
});

test.each<[string, (row: Bmc) => Bmc | undefined, string]>([
  ["a row", () => undefined, "there is no such row"],
  ["its machine", (row) => ({ ...row, machineUuid: "" }), "belongs to machine"],
  ["its account", (row) => ({ ...row, account: undefined }), "account"],
  ["its state", (row) => ({ ...row, state: State.STATE_CONFIRMED }), "state 3"],
  ["its inventory", (row) => ({ ...row, inventory: undefined }), "no inventory"],
])("%s is missed, whichever machine it is", async (_what, change, text) => {
  for (const number of [1, 249]) {
    const problems = await lost(service(change, number), machines, true);
    expect(problems).toEqual([expect.stringContaining(text)]);
    expect(problems[0]).toContain(machines[number]?.mac);
  }
});

test("without remote login a confirmed account is the end", async () => {
  const problems = await lost(service(), machines, false);
  expect(problems).toHaveLength(machines.length);
});

test("a password is looked at in a part of the rows", async () => {
  const other = (row: Bmc) => ({ ...row, account: row.account && { ...row.account, password: "another" } });
  expect(await lost(service(other, 0), machines, true)).toEqual([expect.stringContaining("password")]);
});
