import { connectBmcService } from "../../outband-client/service/bmc.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { Surroundings, Trouble } from "./trouble.ts";

/** For all of a rotation, hand-offs that it waits for included, real time, ms. */
const callLimitMs = 60_000;

/**
 * What `bmcctl rotate` does, while faults come to pass: before and after the call, and before and after each command that the BMC
 * gets from the service.
 * @returns undefined if it was done, or the error that it ended with
 */
export async function rotateFromRemote(
  mac: string,
  { site, bmc, clock }: Surroundings,
  trouble: Trouble,
): Promise<Error | undefined> {
  const { ca, operator } = site.pem;
  const address = `127.0.0.1:${site.relay.port}`;
  await using client = connectBmcService({ address, ca, ...operator, callLimitMs });
  bmc.watcher = {
    pass: (when, name) => trouble.passNow(when, "lan", name),
    write: (undo) => {
      trouble.undo = undo;
    },
    proved: () => trouble.keepWrites(),
  };
  try {
    await trouble.pass("before", "call", "rotateAccount");
    await clock.outside(() => client.rotateAccount({ mac }, trouble.patience));
    await trouble.pass("after", "call", "rotateAccount");
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  } finally {
    bmc.watcher = undefined;
  }
}
