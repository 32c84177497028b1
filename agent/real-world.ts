import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { systemClock } from "../inband/clock.ts";
import { readSmbiosTables } from "../inband/smbios/read-tables.ts";
import type { RetryOptions } from "../outband-client/service/retry.ts";
import { ServiceError } from "../outband-client/service/service-error.ts";
import type { BeginRequest } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { KeptKey } from "./begin-with-token.ts";
import type { Credentials } from "./config/certificates.ts";
import { canGoOffline, type LocalSettings } from "./config/settings.ts";
import type { CompleteSettings } from "./configure.ts";
import { type Console, durationText } from "./console.ts";
import { openInband } from "./open-inband.ts";
import { isInit } from "./overlay/guest-name.ts";
import { sayingTrouble } from "./perform-run.ts";
import { version } from "./version.ts";
import { defaultLimits, type EnrolmentClient, type RunSettings, type World } from "./world.ts";

/** How much longer than the retries a step may take, so that their own error is the one that is told. */
const graceMs = 15_000;

/** How much longer than the whole run the BMC's watchdog waits. */
const afterRunMs = 60_000;

/**
 * The world as it is: this machine, its BMC, the service of the settings.
 * @param kept the same for every try of one boot
 */
export function realWorld(settings: CompleteSettings, console: Console, kept: KeptKey = {}): World {
  return {
    readSmbios: (signal) => readSmbiosTables(undefined, signal),
    openBmc: (signal) => openInband({ kcs: settings.kcs, kcsWaitMs: kcsWaitMs(settings) }, signal),
    connectService: () => connectOrStay(settings, console, kept),
    readBootId: async (signal) =>
      (await readFile("/proc/sys/kernel/random/boot_id", { encoding: "latin1", signal })).trim(),
    gatherInventory: async (signal) => (await import("./inventory.ts")).gatherInventory(signal),
    randomBelow: (below) => randomInt(below),
    clock: systemClock,
    note: (text) => console.note(text),
    showBmc: (bmc) => console.bmc?.(bmc),
    settings: runSettings(settings),
  };
}

/**
 * As init with drivers, the wait for the device node has shown already that nobody is there. Half of the limit, so that the
 * reason is told by who waited.
 */
const kcsWaitMs = ({ bmcLimitMs, ipmiDriver }: LocalSettings): number => (isInit() && ipmiDriver ? 0 : bmcLimitMs / 2);

/** What of the settings the run itself needs. */
export function runSettings(settings: LocalSettings): RunSettings {
  const { rotate, userSlot, harden, serviceLimitMs, bmcLimitMs, limitMs, watchdog, site } = settings;
  return {
    agentVersion: `metal-rivet ${version}`,
    site,
    rotate,
    userSlot,
    harden,
    watchdogMs: watchdog ? limitMs + afterRunMs : undefined,
    limits: {
      ...defaultLimits,
      beginMs: serviceLimitMs + graceMs,
      serviceMs: serviceLimitMs + graceMs,
      bmcReadyMs: bmcLimitMs,
      // A BMC that restarts in the middle is waited for as long as one that starts.
      inspectMs: defaultLimits.inspectMs + bmcLimitMs,
      accountMs: defaultLimits.accountMs + bmcLimitMs,
    },
  };
}

/** The service, or the stick where there is none. */
async function connectOrStay(settings: CompleteSettings, console: Console, kept: KeptKey): Promise<EnrolmentClient> {
  const note = (text: string) => console.note(text);
  const { reportKey, offlinePolicy: policy, serviceLimitMs: limitMs } = settings;
  const offline = async () => {
    const [{ offlineService }, { realMedium: medium }] = await Promise.all([
      import("./stick/offline-service.ts"),
      import("./stick/real-medium.ts"),
    ]);
    return offlineService({ medium, reportKey: reportKey ?? "", policy, clock: systemClock, limitMs, note });
  };
  if (settings.credentials === "none" || settings.withoutNetwork === true) return await offline();
  const online = await connectService(settings, settings.credentials, console, kept);
  if (!canGoOffline(settings)) return online;
  const { withOfflineFallback } = await import("./stick/offline-fallback.ts");
  return withOfflineFallback(online, offline, note);
}

/** A client that is patient: what fails because the service is not there is tried again, and said. */
async function connectService(
  settings: CompleteSettings,
  credentials: Credentials | "plaintext",
  console: Console,
  kept: KeptKey,
): Promise<EnrolmentClient> {
  const [{ connectEnrolment }, { withRejoin, withRetry }] = await Promise.all([
    import("../outband-client/service/enrolment.ts"),
    import("../outband-client/service/retry.ts"),
  ]);
  const { service: address, token } = settings;
  let client = connectEnrolment({ address, ...(credentials === "plaintext" ? { plaintext: true } : credentials) });
  const options = (signal: AbortSignal): RetryOptions => ({
    limitMs: settings.serviceLimitMs,
    signal,
    onRetry: (attempt, waitMs, error) =>
      console.note(`${error.message}; try ${attempt + 1} in ${durationText(waitMs)}`),
  });
  const patiently = <T>(
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
    more: Partial<RetryOptions> = {},
  ) =>
    sayingTrouble((onTrouble) => {
      const { onRetry, ...rest } = options(signal);
      const tellBoth: RetryOptions["onRetry"] = (attempt, waitMs, error) => {
        onTrouble(error.message);
        onRetry?.(attempt, waitMs, error);
      };
      return withRetry(work, { ...rest, ...more, onRetry: tellBoth });
    });
  return {
    async begin(request, signal) {
      const begin = (complete: BeginRequest) =>
        patiently((inner) => client.begin(complete, inner), signal, { alsoOn: ["conflict", "exhausted"] });
      const send = (complete: BeginRequest) =>
        begin(complete).catch(async (error: unknown) => {
          if (!(error instanceof ServiceError) || error.clockFault === undefined) throw error;
          const [{ retryWithCorrectClock }, { realClock }] = await Promise.all([
            import("./clock/correct-clock.ts"),
            import("./clock/real-clock.ts"),
          ]);
          const clock = realClock(settings, (text) => console.note(text));
          return await retryWithCorrectClock(error, () => begin(complete), clock, signal);
        });
      if (token === undefined) return await send(request);
      const { beginWithToken } = await import("./begin-with-token.ts");
      const needsCertificate = credentials !== "plaintext" && credentials.cert === undefined;
      const { response, own } = await beginWithToken(request, token, needsCertificate, send, kept);
      if (own === undefined || credentials === "plaintext") return response;
      await client[Symbol.asyncDispose]();
      client = connectEnrolment({ address, ca: credentials.ca, ...own });
      return response;
    },
    reportBmc: (request, signal) => patiently((inner) => client.reportBmc(request, inner), signal),
    reportInventory: (request, signal) => patiently((inner) => client.reportInventory(request, inner), signal),
    escrowAccount: (request, signal) => patiently((inner) => client.escrowAccount(request, inner), signal),
    confirmAccount: (request, signal) => patiently((inner) => client.confirmAccount(request, inner), signal),
    // the last word of a run that failed: not worth waiting for
    abort: (request, signal) => client.abort(request, signal),
    watchHandOff: (request, signal) => withRejoin((inner) => client.watchHandOff(request, inner), options(signal)),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
