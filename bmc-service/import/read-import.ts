import { status } from "@grpc/grpc-js";
import { Secret } from "../../ipmi/secret.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { InbandProof } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import type { Report, ReportedAccount } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { ReportError, readReport } from "../../proto/report-json.ts";
import { checkSizes, requireAscii, requireFacts, requireMac, requireMachine, requireRange } from "../rpc/fields.ts";
import { invalid, RpcError } from "../rpc/rpc-error.ts";
import { openPassword, SealedPasswordError } from "./open-password.ts";
import type { ReportKey } from "./report-keys.ts";

/** A report whose every field was held against what an agent may tell. */
export interface ReadImport {
  readonly report: Report;
  readonly machine: Machine;
  /** Undefined: no BMC was found, or nothing was read of it. */
  readonly facts: BmcFacts | undefined;
  /** The oldest first. */
  readonly accounts: readonly OpenedAccount[];
  /** Accounts that are of no use here, one sentence each. */
  readonly leftOut: readonly string[];
}

/** An account of a report with its password. */
export interface OpenedAccount extends ReportedAccount {
  readonly password: Secret;
}

/**
 * Reads a report and opens its passwords.
 * @throws RpcError INVALID_ARGUMENT naming the place, FAILED_PRECONDITION if no password in it opens here
 */
export async function readImport(bytes: Uint8Array, keys: readonly ReportKey[]): Promise<ReadImport> {
  const report = parsed(bytes);
  checkSizes(report);
  if (report.machine === undefined) throw invalid("machine", "it is missing");
  const machine = requireMachine("machine", report.machine);
  const facts = report.bmc && requireFacts("bmc", report.bmc);
  const accounts: OpenedAccount[] = [];
  const leftOut: string[] = [];
  for (const [index, account] of report.accounts.entries()) {
    const checked = requireAccount(`accounts[${index}]`, account);
    if (!isOf(facts, checked.mac)) {
      leftOut.push(`Account "${checked.userName}" is one of BMC ${checked.mac}, which is no longer this machine's.`);
      continue;
    }
    try {
      const opened = await openPassword(machine.uuid, checked, keys);
      accounts.push({ ...checked, password: requirePassword(`accounts[${index}].sealed_password`, opened) });
    } catch (error) {
      if (!(error instanceof SealedPasswordError)) throw error;
      leftOut.push(`The password of account "${checked.userName}" does not open: ${error.message}.`);
    }
  }
  // What the machine has may open with none of these: a row that promises otherwise helps nobody.
  if (accounts.length === 0 && report.accounts.length > 0) {
    throw new RpcError(status.FAILED_PRECONDITION, `no account of the report is of use. ${leftOut.at(-1)}`);
  }
  return { report, machine, facts, accounts, leftOut };
}

function parsed(bytes: Uint8Array): Report {
  try {
    return readReport(bytes);
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    throw new RpcError(status.INVALID_ARGUMENT, error.message);
  }
}

function requireAccount(field: string, account: ReportedAccount): ReportedAccount {
  const { mac, userName, slot, channel, proof } = account;
  const proofs: readonly number[] = Object.values(InbandProof).filter((each) => each >= 0);
  if (!proofs.includes(proof)) throw invalid(`${field}.proof`, "it is none that this release knows");
  return {
    ...account,
    mac: requireMac(`${field}.mac`, mac),
    userName: requireAscii(`${field}.user_name`, userName, 16),
    slot: requireRange(`${field}.slot`, slot, 1, 63),
    channel: requireRange(`${field}.channel`, channel, proof === InbandProof.INBAND_PROOF_UNSPECIFIED ? 0 : 1, 11),
  };
}

function requirePassword(field: string, opened: Buffer): Secret {
  try {
    requireAscii(field, opened.toString("latin1"), 20);
    return Secret.fromBytes(opened);
  } finally {
    opened.fill(0);
  }
}

/** Whether the BMC has that MAC address, on any of its LAN channels. */
function isOf(facts: BmcFacts | undefined, mac: string): boolean {
  if (facts === undefined) return false;
  return facts.mac === mac || facts.channels.some((channel) => channel.mac.toLowerCase() === mac);
}
