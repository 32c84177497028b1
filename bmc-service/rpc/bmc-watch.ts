import type { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { WatchBmcsResponse } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { orAborted } from "../reach/bmc-locks.ts";
import type { BmcRecord, Change, Store } from "../store/store.ts";

/**
 * Every row once, then each change. Several changes of a row that the reader was too slow for come as one: it gets the
 * row as it is then, and memory stays within the number of rows.
 */
export async function* watchBmcs(
  store: Store,
  toMessage: (record: BmcRecord) => Bmc,
  signal: AbortSignal,
): AsyncGenerator<WatchBmcsResponse, void, undefined> {
  const changed = new Map<string, Change>();
  let more = Promise.withResolvers<void>();
  // Before the snapshot is read: what changes in between comes again, and nothing is missed.
  const unsubscribe = store.subscribe((change) => {
    changed.set(change.key, change);
    more.resolve();
  });
  try {
    // Row by row: all of them with their inventories may be more than there is memory.
    for (const { row } of await store.bmcOutlines()) {
      const record = await store.bmc(row.key);
      if (record !== undefined) yield { change: { $case: "bmc", value: toMessage(record) } };
    }
    yield { change: { $case: "snapshotComplete", value: true } };
    for (;;) {
      await orAborted(more.promise, signal);
      more = Promise.withResolvers<void>();
      const keys = [...changed.keys()];
      changed.clear();
      for (const key of keys) {
        const record = await store.bmc(key);
        yield record === undefined
          ? { change: { $case: "deletedKey", value: key } }
          : { change: { $case: "bmc", value: toMessage(record) } };
      }
    }
  } finally {
    unsubscribe();
  }
}
