import { beginWithToken } from "../../agent/begin-with-token.ts";
import type { EnrolmentClient } from "../../agent/world.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { type RetryOptions, withRejoin, withRetry } from "../../outband-client/service/retry.ts";
import type { BeginRequest } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { InstantKind } from "./fault.ts";

/** What an agent begins with. */
export interface Pem {
  /** PEM, as the certificate and its key. */
  readonly ca: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  /** In their place. */
  readonly token?: Uint8Array;
}

/** An instant has come. Rejects when the agent is dead. */
export type Pass = (when: "before" | "after", what: InstantKind, name: string) => Promise<void>;

/**
 * The agent's client with the program's patience, in small: what fails because the service is not there is tried again.
 * @param port of the way to the service, on 127.0.0.1
 * @param giveUp ends the patience with its reason, as the program's limits do after minutes
 */
export function connectPatiently(port: number, pem: Pem, giveUp: AbortSignal): EnrolmentClient {
  const connect = ({ cert, key }: Pick<Pem, "cert" | "key">) =>
    connectEnrolment({
      ...{ address: `127.0.0.1:${port}`, ca: Buffer.from(pem.ca), callLimitMs: 3_000 },
      ...(cert && key && { cert: Buffer.from(cert), key: Buffer.from(key) }),
    });
  const { token } = pem;
  let client = connect(pem);
  const options = (signal: AbortSignal): RetryOptions => ({
    limitMs: 30_000,
    firstWaitMs: 10,
    maxWaitMs: 50,
    signal: AbortSignal.any([signal, giveUp]),
  });
  return {
    async begin(request, signal) {
      // A machine that has died counts as live for a while.
      const patience: RetryOptions = { ...options(signal), alsoOn: ["conflict"] };
      const send = (complete: BeginRequest) => withRetry((inner) => client.begin(complete, inner), patience);
      if (token === undefined) return await send(request);
      const { response, own } = await beginWithToken(request, Buffer.from(token), true, send);
      await client[Symbol.asyncDispose]();
      if (own !== undefined) client = connect({ cert: Buffer.from(own.cert), key: own.key });
      return response;
    },
    reportBmc: (request, signal) => withRetry((inner) => client.reportBmc(request, inner), options(signal)),
    reportInventory: (request, signal) => withRetry((inner) => client.reportInventory(request, inner), options(signal)),
    escrowAccount: (request, signal) => withRetry((inner) => client.escrowAccount(request, inner), options(signal)),
    confirmAccount: (request, signal) => withRetry((inner) => client.confirmAccount(request, inner), options(signal)),
    abort: (request, signal) => client.abort(request, AbortSignal.any([signal, giveUp])),
    watchHandOff: (request, signal) => withRejoin((inner) => client.watchHandOff(request, inner), options(signal)),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Calls to the service, with an instant before and after each, and after each event of the hand-off. */
export function clientWithInstants(
  inner: EnrolmentClient,
  pass: Pass,
  outside: <T>(work: () => Promise<T>) => Promise<T>,
): EnrolmentClient {
  const call = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    await pass("before", "call", name);
    const answer = await outside(work);
    await pass("after", "call", name);
    return answer;
  };
  return {
    begin: (...args) => call("begin", () => inner.begin(...args)),
    reportBmc: (...args) => call("reportBmc", () => inner.reportBmc(...args)),
    reportInventory: (...args) => call("reportInventory", () => inner.reportInventory(...args)),
    escrowAccount: (...args) => call("escrowAccount", () => inner.escrowAccount(...args)),
    confirmAccount: (...args) => call("confirmAccount", () => inner.confirmAccount(...args)),
    abort: (...args) => call("abort", () => inner.abort(...args)),
    async *watchHandOff(...args) {
      await pass("before", "call", "watchHandOff");
      const events = inner.watchHandOff(...args)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { done, value } = await outside(() => events.next());
          if (done === true) return;
          await pass("after", "event", value.event?.$case ?? "none");
          yield value;
        }
      } finally {
        await events.return?.();
      }
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
