import { closeSync, constants, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { ExitCode } from "../../proto/exit-code.ts";
import { hideTokens } from "../../proto/hide-tokens.ts";
import type { EndedBmc, RunEnd } from "../console.ts";
import { version } from "../version.ts";

/** Where the next program of a ramdisk looks. */
export const outcomePath = "/run/metal-rivet/outcome.json";

/** What the next program finds; the README has the meaning of each field. No field holds a secret. */
export interface OutcomeDocument {
  readonly schema: 1;
  readonly version: string;
  /** The machine's UUID; null if it is not known. */
  readonly uuid: string | null;
  /** The kind of the outcome, "error", or "unfinished" while the run is under way, and if it was cut off. */
  readonly outcome: string;
  readonly exit_code: number;
  readonly text: string;
  readonly bmc: {
    /** Empty if the BMC does not tell it. */
    readonly mac: string;
    /** Empty if the BMC has none yet. */
    readonly address: string;
    readonly channel: number | null;
    /** Of our account; null if there is none. */
    readonly user_name: string | null;
    readonly user_id: number | null;
  } | null;
  /** RFC 3339, by the machine's clock. */
  readonly started: string;
  readonly ended: string | null;
}

/** @param end undefined while the run is under way */
export function outcomeDocument(
  started: Date,
  end: (RunEnd & { readonly at: Date }) | undefined,
  ownUuid?: string,
): OutcomeDocument {
  return {
    schema: 1,
    version,
    uuid: end?.machineUuid ?? ownUuid ?? null,
    outcome: end?.outcome ?? "unfinished",
    exit_code: end?.exitCode ?? ExitCode.temporary,
    text: hideTokens(end?.text ?? "The run is under way, or was cut off."),
    bmc: end?.bmc === undefined ? null : bmcFields(end.bmc),
    started: started.toISOString(),
    ended: end?.at.toISOString() ?? null,
  };
}

function bmcFields({ mac, address, channel, userName, slot }: EndedBmc) {
  return {
    mac,
    address: address ?? "",
    channel: channel ?? null,
    user_name: userName || null,
    user_id: slot || null,
  };
}

/**
 * Writes the file for its owner only, whole or not at all, in a folder that is made if it is missing.
 * @throws the error of the file system
 */
export function writeOutcomeFile(path: string, document: OutcomeDocument): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const draft = `${path}.${process.pid}`;
  rmSync(draft, { force: true });
  const fd = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    try {
      writeSync(fd, `${JSON.stringify(document, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
