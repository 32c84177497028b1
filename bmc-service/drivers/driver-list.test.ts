import { expect, test } from "vitest";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Metrics } from "../metrics.ts";
import { BmcLocks } from "../reach/bmc-locks.ts";
import type { BmcRecord } from "../store/store.ts";
import { DriverList, NoDriverServedError } from "./driver-list.ts";

test("a BMC that is busy with another session for too long is told so, and that nothing was begun", async () => {
  const locks = new BmcLocks();
  const held = Promise.withResolvers<void>();
  const never = new AbortController().signal;
  const holder = locks.run("52:54:00:b1:00:01", never, () => held.promise);
  const list = new DriverList({
    drivers: [],
    find: async () => undefined,
    addresses: new Map(),
    locks,
    metrics: new Metrics(),
    limitMs: 20,
  });
  const facts = BmcFacts.fromPartial({ mac: "52:54:00:b1:00:01" });
  const record = { row: { key: facts.mac, mac: facts.mac, facts, drivers: [] }, account: {} };
  const asked = list.serve(
    record as unknown as BmcRecord,
    { action: "power off", acts: true },
    async () => undefined,
    never,
  );
  const error = await asked.catch((refused: unknown) => refused);
  expect(error).toBeInstanceOf(NoDriverServedError);
  expect(String(error)).toContain("not begun: another session with it has not ended within 0.02 s");
  held.resolve();
  await holder;
});
