import type { Command } from "commander";
import { ExitCode } from "../../../proto/exit-code.ts";
import { type ImportReportResponse, ImportResult } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { mostReportBytes } from "../../../proto/report-json.ts";
import { printable } from "../../service/printable.ts";
import { ServiceError, type ServiceStatus } from "../../service/service-error.ts";
import { bmcDocument, type Document } from "../document.ts";
import { ConfigError, exitCodeHelp, ReportsLeftError } from "../failure.ts";
import { fileProblem } from "../file-problem.ts";
import { rendered, table } from "../output.ts";
import { readRegularFile } from "../regular-file.ts";
import { openSession, type Session } from "../session.ts";
import type { World } from "../world.ts";

/** The service waits 20 s for a BMC, and its queue may be long. */
const limitMs = 120_000;

/** Reports that are on their way at once: the service logs in to so many BMCs side by side. */
const atOnce = 8;

/** What became of one file. */
interface Brought {
  readonly file: string;
  readonly result: "linked" | "waiting" | "stored" | "refused";
  readonly reason: string;
  /** Of a file that was refused: what to exit with. */
  readonly exitCode: ExitCode;
  readonly answer?: ImportReportResponse;
}

/** `bmcctl import FILES`: brings the service what machines without network have written on sticks. */
export function addImport(program: Command, world: World): void {
  program
    .command("import")
    .description("bring the service the reports of machines at sites without network")
    .argument("<files...>", "reports as they lie on the stick: reports/*.json")
    .addHelpText(
      "after",
      `
Machines that reach no service write a report on the stick that they were booted from, with the account that they made on
their BMC; its password is sealed to the service ("bmc-service import-key"). The service stores what the report tells, by the
same rules as if the machine had told it, and logs in to the BMC.

  linked    the service has logged in, and controls the BMC
  waiting   stored, but the BMC did not let the service in yet: import the file again when it can be reached
  stored    the machine has no BMC, or made no account; the reason says what to do
  refused   nothing of the file was stored

SITE is the place that the stick's metal-rivet.yaml names (site:), where any does.

Keep the file of a machine that waits until it is linked; to import it again does no harm.

Examples:
  bmcctl import /media/RIVET/reports/*.json
  bmcctl import reports/*.json --output json | jq -r '.[] | select(.result != "linked") | .file'
${exitCodeHelp}`,
    )
    .action(async (files: string[], _options: unknown, command: Command) => {
      await using session = openSession(world, command, { limitMs });
      const { brought, failure } = await bringAll(session, files);
      if (brought.length > 0) {
        world.stdout.write(
          rendered(session.output, { asDocument: () => brought.map(documentOf), asTable: () => tableOf(brought) }),
        );
      }
      if (failure !== undefined) throw failure;
      const left = brought.filter(({ result }) => result === "waiting" || result === "refused");
      if (left.length > 0) throw new ReportsLeftError(left.length, files.length, left.some(isToCome), worst(left));
    });
}

/** Whether the file has to be imported again. */
const isToCome = ({ result }: Brought) => result === "waiting";

/**
 * In the order of the files. What one file cannot be is no reason to leave the others.
 * @returns those that were brought, and what kept the others from being: a service that is not there, or lets nobody in
 */
async function bringAll(
  session: Session,
  files: readonly string[],
): Promise<{ readonly brought: readonly Brought[]; readonly failure: Error | undefined }> {
  const brought = new Map<number, Brought>();
  const left = files.entries();
  let failure: Error | undefined;
  const bringSome = async () => {
    for (const [index, file] of left) {
      if (failure !== undefined) return;
      try {
        brought.set(index, await bring(session, file));
      } catch (error) {
        failure = error as Error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, files.length) }, bringSome));
  const inOrder = [...brought].toSorted(([one], [other]) => one - other);
  return { brought: inOrder.map(([, each]) => each), failure };
}

async function bring({ client, world }: Session, file: string): Promise<Brought> {
  try {
    const answer = await client.importReport({ report: await readFileOf(file) }, world.interrupt);
    const result = resultName(answer.result);
    const exitCode = result === "waiting" ? ExitCode.temporary : ExitCode.done;
    return { file, result, reason: answer.reason, exitCode, answer };
  } catch (error) {
    if (error instanceof ConfigError) return refused(file, error.message, ExitCode.configuration);
    // Whoever is not let in, or finds nobody, has the same answer for every file.
    if (!(error instanceof ServiceError) || !aboutTheFile.has(error.status)) throw error;
    const exitCode = error.status === "conflict" ? ExitCode.temporary : ExitCode.refused;
    return refused(file, error.message, exitCode);
  }
}

const aboutTheFile: ReadonlySet<ServiceStatus> = new Set(["invalid", "precondition", "conflict", "damaged"]);

const refused = (file: string, reason: string, exitCode: ExitCode): Brought => ({
  file,
  result: "refused",
  reason,
  exitCode,
});

async function readFileOf(file: string): Promise<Buffer> {
  try {
    const { bytes } = await readRegularFile(file, mostReportBytes);
    if (bytes.length > mostReportBytes) throw new Error(`it has more than the ${mostReportBytes} bytes of a report`);
    return bytes;
  } catch (cause) {
    throw new ConfigError(fileProblem(cause), { cause });
  }
}

function resultName(result: ImportResult): Brought["result"] {
  switch (result) {
    case ImportResult.IMPORT_RESULT_LINKED:
      return "linked";
    case ImportResult.IMPORT_RESULT_STORED:
      return "stored";
    default:
      return "waiting";
  }
}

function worst(left: readonly Brought[]): ExitCode {
  const codes = left.map(({ exitCode }) => exitCode);
  return [ExitCode.configuration, ExitCode.refused].find((code) => codes.includes(code)) ?? ExitCode.temporary;
}

function documentOf({ file, result, reason, answer }: Brought): Document {
  return {
    file: printable(file),
    result,
    ...(reason === "" ? {} : { reason: printable(reason) }),
    ...(answer && { new_accounts: answer.newAccounts }),
    ...(answer?.bmc && { bmc: bmcDocument(answer.bmc) }),
  };
}

/** Sites have a column where any is named. */
function tableOf(brought: readonly Brought[]): string {
  const siteOf = ({ answer }: Brought): string => answer?.bmc?.machine?.site ?? "";
  const isNamed = brought.some((each) => siteOf(each) !== "");
  const rows = brought.map((each) => [
    each.file,
    each.result,
    each.answer?.bmc?.machineUuid ?? "",
    each.answer?.bmc?.mac ?? "",
    ...(isNamed ? [siteOf(each)] : []),
    each.reason,
  ]);
  return table(
    ["FILE", "RESULT", "MACHINE ID", "MAC", ...(isNamed ? ["SITE"] : []), "REASON"],
    rows.map((cells) => cells.map(printable)),
  );
}
