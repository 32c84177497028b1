import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { EnrolmentClient } from "../world.ts";

/**
 * A client that begins at the service, and takes the stick for the whole run if the service cannot be reached then. Once a service
 * has answered, the run is its own: half of it on the stick would help nobody.
 * @param offline called only if it is needed
 */
export function withOfflineFallback(
  online: EnrolmentClient,
  offline: () => Promise<EnrolmentClient>,
  note: (text: string) => void,
): EnrolmentClient {
  let client = online;
  return {
    get postponed() {
      return client.postponed;
    },
    async begin(request, signal) {
      try {
        return await online.begin(request, signal);
      } catch (error) {
        if (!(error instanceof ServiceError) || !isOutOfReach(error)) throw error;
        note(`${error.message}. Going on without a service: the report is kept on the stick`);
        client = await offline();
        return await client.begin(request, signal);
      }
    },
    reportBmc: (request, signal) => client.reportBmc(request, signal),
    reportInventory: (request, signal) => client.reportInventory(request, signal),
    escrowAccount: (request, signal) => client.escrowAccount(request, signal),
    confirmAccount: (request, signal) => client.confirmAccount(request, signal),
    abort: (request, signal) => client.abort(request, signal),
    watchHandOff: (request, signal) => client.watchHandOff(request, signal),
    async [Symbol.asyncDispose]() {
      await online[Symbol.asyncDispose]();
      if (client !== online) await client[Symbol.asyncDispose]();
    },
  };
}

/** Not where it refuses, or something else answers: that an operator has to look at. */
function isOutOfReach({ status, answered }: ServiceError): boolean {
  return !answered && (status === "unavailable" || status === "deadline");
}
