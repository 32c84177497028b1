import type { DocumentDate } from "../config/fetch-document.ts";
import { askNtpServer } from "./ask-ntp-server.ts";
import type { TimeSource } from "./correct-clock.ts";

/** What the settings know of the time. */
export interface TimeHints {
  readonly documentDate?: DocumentDate | undefined;
  readonly ntp: readonly string[];
}

/**
 * Those who may know the time, in the order in which they are asked. None of them is proved: what they can do is let an expired
 * certificate of the service's own authority pass, or one from the future.
 */
export function timeSources({ documentDate, ntp }: TimeHints): TimeSource[] {
  return [
    ...(documentDate === undefined ? [] : [byDocument(documentDate)]),
    ...ntp.map((server) => ({
      name: `the NTP server ${server}`,
      now: (_: unknown, signal: AbortSignal) => askNtpServer(server, signal),
    })),
    byCertificate,
  ];
}

const byDocument = ({ date, readAtMs, server }: DocumentDate): TimeSource => ({
  name: `the Date of the server of the configuration document (${server})`,
  now: async () => new Date(date.getTime() + performance.now() - readAtMs),
});

/**
 * The last resort: it is no earlier than this, because the authority has signed the certificate already. Only forward: by the
 * beginning of its time every expired certificate would be good.
 */
const byCertificate: TimeSource = {
  name: "the beginning of the certificate's own time, which is too early at most",
  async now({ kind, validFrom }) {
    if (kind === "expired") throw new Error("the certificate cannot tell how long ago it expired");
    return validFrom;
  },
};
