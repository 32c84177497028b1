import { beforeEach, expect, test } from "vitest";
import { Bmc, State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { BmcOutline, Store } from "../store/store.ts";
import { briefRow, listBmcs, wholeRow } from "./list-bmcs.ts";

type Place = readonly [mac: string, key: string];
let rows: readonly Place[];
beforeEach(() => {
  rows = [
    ["a", "a"],
    ["b", "b"],
    ["b", "c"],
    ["", "u1"],
    ["", "u2"],
  ];
});

/** All that is asked of a store here. */
const store = {
  bmcOutlines: async () => rows.map(([mac, key]) => ({ row: { mac, key } }) as BmcOutline),
} as unknown as Store;
const tell = async ({ row }: BmcOutline) => wholeRow(Bmc.fromPartial({ key: row.key, stateReason: "x".repeat(1_000) }));

/** The keys of each page. */
async function pages(pageSize: number, most = { page: 1e6, list: 1e6 }, between = () => {}): Promise<string[]> {
  const all: string[] = [];
  let pageToken = "";
  for (;;) {
    const { bmcs, nextPageToken } = await listBmcs(store, { pageSize, pageToken }, tell, most);
    all.push(bmcs.map(({ key }) => key).join());
    if (nextPageToken === undefined) return all;
    pageToken = nextPageToken;
    between();
  }
}

test.each([
  [0, ["a,b,c,u1,u2"]],
  [1, ["a", "b", "c", "u1", "u2"]],
  [3, ["a,b,c", "u1,u2"]],
  [5, ["a,b,c,u1,u2"]],
])("pages of %i rows hold each row once", async (pageSize, found) => expect(await pages(pageSize)).toEqual(found));

test("a page ends after so many bytes, but has a row", async () => {
  expect(await pages(100, { page: 2_000, list: 1e6 })).toEqual(["a,b", "c,u1", "u2"]);
  expect(await pages(100, { page: 1, list: 1e6 })).toEqual(["a", "b", "c", "u1", "u2"]);
});

test("rows that go or come between pages neither hide others nor bring them twice", async () => {
  const before = rows;
  const changed = await pages(2, undefined, () => {
    rows = [["0", "0"], ...before.filter(([, key]) => key !== "b"), ["", "u3"]];
  });
  expect(changed).toEqual(["a,b", "c,u1", "u2,u3"]);
});

test("a list that is too large for one answer is refused, and says how to get it", async () => {
  await expect(listBmcs(store, {}, tell, { page: 1, list: 4_000 })).rejects.toMatchObject({
    message: expect.stringContaining("page_size"),
  });
  expect(await pages(5, { page: 1e6, list: 4_000 })).toEqual(["a,b,c,u1,u2"]);
});

test.each(["x", "a b c"])("%j is no token", async (pageToken) => {
  await expect(listBmcs(store, { pageSize: 1, pageToken }, tell)).rejects.toThrow("page_token: ");
});

test.each([
  ["nothing", {}],
  ["all that a brief row can have", row("a")],
  ["texts of three bytes a letter", row("€")],
])("a brief row with %s is counted with as many bytes as it takes, and few more", (_, partial) => {
  const { bmc, bytes } = briefRow(Bmc.fromPartial(partial));
  const encoded = wholeRow(bmc).bytes;
  expect(bytes).toBeGreaterThanOrEqual(encoded + 4);
  expect(bytes).toBeLessThan(encoded + 400);
});

function row(letter: string) {
  const text = letter.repeat(300);
  return {
    ...{
      mac: text,
      address: text,
      vendor: text,
      machineUuid: text,
      stateReason: text,
      key: text,
      drivers: [text, text],
    },
    state: State.STATE_FAILED,
    warnings: [1, 2, 3].map(() => ({ kind: WarningKind.WARNING_KIND_ADDRESS, text })),
    facts: { ipv4Address: text, ipv6Addresses: [text, text] },
  };
}
