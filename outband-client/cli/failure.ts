import { ExitCode } from "../../proto/exit-code.ts";
import { ServiceError } from "../service/service-error.ts";

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
}

/** A file that the command needs is missing or wrong. The message begins with its name. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "config";
}

/** The audit log was tampered with. */
export class AuditBrokenError extends Error {
  override readonly name = "AuditBrokenError";
  readonly code = "audit-broken";

  /** @param among numbers of the entries where it is broken, as far as that is known */
  constructor(among?: { readonly from: bigint; readonly to: bigint }) {
    const where = among === undefined ? "" : ` (among ${among.from} to ${among.to})`;
    super(`the audit log does not hold: entries were changed or removed behind the service's back${where}`);
  }
}

/** Some files that were to be imported are not done with; what is wrong with each stands in the output. */
export class ReportsLeftError extends Error {
  override readonly name = "ReportsLeftError";
  readonly code = "reports-left";
  readonly exitCode: ExitCode;

  /** Whether one of them only waits for its BMC. */
  readonly anyWaits: boolean;

  constructor(left: number, all: number, anyWaits: boolean, exitCode: ExitCode) {
    super(`${left} of ${all} reports are not linked yet, or were refused`);
    this.anyWaits = anyWaits;
    this.exitCode = exitCode;
  }
}

/** What a person reads on stderr, and the exit code. */
export interface Failure {
  readonly exitCode: ExitCode;
  /** What happened and where. */
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** @param command with the commands that it belongs to: "bmcctl token create" */
export const helpAdvice = (command: string) => `See "${command} --help".`;

/**
 * What an error means to the person who typed the command. Anything unforeseen is a bug, shown with its stack.
 * @param command as for helpAdvice
 */
export function explain(error: unknown, command: string): Failure {
  if (error instanceof UsageError) {
    return { exitCode: ExitCode.usage, message: error.message, advice: helpAdvice(command) };
  }
  if (error instanceof ConfigError) return { exitCode: ExitCode.configuration, message: error.message };
  if (error instanceof ReportsLeftError) {
    return {
      exitCode: error.exitCode,
      message: error.message,
      advice: error.anyWaits
        ? "Keep the files that wait; to import them again does no harm."
        : "Nothing of these files is stored; the reason of each says what to do.",
    };
  }
  if (error instanceof AuditBrokenError) {
    return {
      exitCode: ExitCode.protocol,
      message: error.message,
      advice:
        "The service's own log has number and hash of what each call has written: compare. Find out who can write to the database.",
    };
  }
  if (error instanceof ServiceError) return { message: error.message, ...serviceFailure(error) };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { exitCode: ExitCode.bug, message: `this is a bug in bmcctl: ${stack}` };
}

const ownCertificate = "--role names the certificate in the PKI directory; operator.pem is used without it.";
const givenAccount = "What the service knows of the BMC is as it was.";
const sameAccount = 'The account is as it was; "bmcctl describe" shows it.';
const bmcAccount = '"bmcctl describe" shows account and state; the machine makes a new account when it boots again.';

function serviceFailure({ status, answered, message }: ServiceError): Omit<Failure, "message"> {
  switch (status) {
    case "unavailable":
      if (answered) return { exitCode: ExitCode.temporary, advice: "The service is there; try again later." };
      return { exitCode: ExitCode.serviceUnavailable, advice: "Does bmc-service run there? --service names another." };
    case "refused":
      if (!answered) return { exitCode: ExitCode.refused };
      if (roleOf(message) !== undefined)
        return { exitCode: ExitCode.refused, advice: `Use --role ${roleOf(message)}.` };
      // The service's words say whose account it is, and what to do.
      if (message.includes("is the operator's own")) return { exitCode: ExitCode.refused };
      if (message.includes("took no new password")) return { exitCode: ExitCode.refused, advice: sameAccount };
      if (message.includes("certificate")) return { exitCode: ExitCode.refused, advice: ownCertificate };
      return { exitCode: ExitCode.refused, advice: message.includes(": UpdateBmc: ") ? givenAccount : bmcAccount };
    case "unauthenticated":
      return { exitCode: ExitCode.refused };
    case "not found":
      return { exitCode: ExitCode.usage, advice: `"${listOf(message)}" shows what the service knows.` };
    case "invalid":
      return { exitCode: ExitCode.usage };
    case "precondition":
      // The service's words say what to type there.
      if (message.includes("no authority for agents")) return { exitCode: ExitCode.configuration };
      return { exitCode: ExitCode.temporary, advice: '"bmcctl describe" shows how far the linkage has come.' };
    case "conflict":
    case "exhausted":
    // The service's words say what is damaged and what mends it.
    case "damaged":
      return { exitCode: ExitCode.temporary };
    case "deadline":
      if (answered) return { exitCode: ExitCode.temporary, advice: "It may have been done: look before trying again." };
      return {
        exitCode: ExitCode.temporary,
        advice: "The service may still do it: look before trying again. --timeout SECONDS waits longer.",
      };
    case "internal":
      return { exitCode: ExitCode.bug, advice: "This is a bug in the service; its log says more." };
    case "unimplemented":
      return { exitCode: ExitCode.protocol, advice: "Is the service older than bmcctl?" };
    case "protocol":
      return { exitCode: ExitCode.protocol };
    case "configuration":
      return { exitCode: ExitCode.configuration };
    default:
      return status satisfies never;
  }
}

/** The command that lists what a call has asked for in vain. */
function listOf(message: string): string {
  if (message.includes(": RevokeToken: ")) return "bmcctl token ls";
  return message.includes(": ResolveConflict: ") ? "bmcctl conflicts" : "bmcctl ls";
}

/** The role that a refusal of the service asks for; undefined if it asks for none that bmcctl can have. */
function roleOf(message: string): string | undefined {
  return /needs role "(viewer|operator|admin)"/.exec(message)?.[1];
}

/** For the end of every --help. */
export const exitCodeHelp = `
Exit codes:
  0   done
  64  the command line is wrong, or no such BMC or machine is known
  69  the BMC service is not there
  70  a bug, here or in the service
  75  it may work later: BMC not reachable, no account yet, no answer in time
  76  what answers is no BMC service or one that is too old, or the audit log is broken
  77  refused: a certificate, the permission of the service, or the login by the BMC
  78  the configuration file, the PKI directory or the password file is wrong, or the service is not set up for it`;
