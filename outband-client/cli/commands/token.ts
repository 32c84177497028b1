import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import type { CreateTokenRequest, Token } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import type { Document } from "../document.ts";
import { parseDuration } from "../duration.ts";
import { ConfigError, exitCodeHelp, UsageError } from "../failure.ts";
import { fileProblem } from "../file-problem.ts";
import { parseMachineUuid } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession, type Session } from "../session.ts";
import type { World } from "../world.ts";

/** `bmcctl token`: what lets a machine enrol that has no certificate. */
export function addToken(program: Command, world: World): void {
  const token = program
    .command("token")
    .description("make enrolment tokens for machines without certificate, list and revoke them");
  addCreate(token, world);
  addList(token, world);
  addRevoke(token, world);
}

interface CreateOptions {
  readonly machine?: string;
  readonly ttl: string;
  readonly uses: string;
  readonly out?: string;
}

function addCreate(parent: Command, world: World): void {
  parent
    .command("create")
    .description("make a token; its text is shown once and stored nowhere")
    .option("--machine <uuid>", "the only machine that may use it (default: any)")
    .option("--ttl <duration>", "how long it is good: 90s, 15m, 12h, 30d at most", "15m")
    .option("--uses <n>", "how many enrolments it is good for", "1")
    .option("--out <file>", "write the text to a new file that only you can read, instead of showing it")
    .addHelpText(
      "after",
      `
The agent takes it as rivet.token= on the kernel command line, or as token in its configuration document. It makes a key and
gets a certificate for this one enrolment. Whoever has the text can enrol a machine until it is spent or its time is over.

Examples:
  bmcctl token create --machine 37c43c25-69fe-4f88-b69d-4e71dc4070d0
  bmcctl token create --ttl 12h --uses 40 --out ./rack-7.token
  bmcctl token create --output json | jq -r .token
${exitCodeHelp}`,
    )
    .action(async (options: CreateOptions, command: Command) => {
      const request = requestOf(options);
      await using session = openSession(world, command);
      await create(session, request, options.out);
    });
}

function requestOf({ machine, ttl, uses }: CreateOptions): CreateTokenRequest {
  if (!/^[1-9]\d{0,4}$/.test(uses) || Number(uses) > 10_000) throw new UsageError("--uses: give a number, 1 to 10000");
  return {
    machineUuid: machine === undefined ? "" : parseMachineUuid(machine),
    ttlSeconds: parseDuration("--ttl", ttl, "30d"),
    uses: Number(uses),
  };
}

async function create(session: Session, request: CreateTokenRequest, out: string | undefined): Promise<void> {
  const { world, client, output } = session;
  // First the file: a token whose text cannot be written down is good for nobody.
  const file = out === undefined ? undefined : await newFile(out);
  try {
    const { text, token } = await client.createToken(request, world.interrupt);
    if (token === undefined || text.length === 0) throw new Error("the service answered without a token");
    if (file !== undefined) await write(file, out, text);
    const shown = file === undefined ? { token: text.toString("latin1") } : {};
    const alone = file === undefined && output === "table";
    world.stdout.write(
      alone
        ? `${text.toString("latin1")}\n`
        : rendered(output, {
            asDocument: () => ({ ...shown, ...tokenDocument(token) }),
            asTable: () => tokenTable([token]),
          }),
    );
    text.fill(0);
    if (alone) world.stderr.write(`bmcctl: ${printable(meaning(token))}\n`);
  } catch (error) {
    if (out !== undefined) await rm(out, { force: true });
    throw error;
  } finally {
    await file?.close();
  }
}

async function newFile(out: string): Promise<FileHandle> {
  try {
    return await open(out, "wx", 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (isMissing) throw new ConfigError(`--out ${out}: there is no directory ${dirname(out)}`, { cause });
    const problem = exists ? "it exists already, and is not overwritten" : fileProblem(cause);
    throw new ConfigError(`--out ${out}: ${problem}`, { cause });
  }
}

async function write(file: FileHandle, out: string | undefined, text: Uint8Array): Promise<void> {
  try {
    await file.writeFile(text);
    await file.writeFile("\n");
    await file.sync();
  } catch (cause) {
    throw new ConfigError(`--out ${out}: ${fileProblem(cause)}`, { cause });
  }
}

function meaning({ id, machineUuid, uses, expiresAt }: Token): string {
  const times = uses === 1 ? "one enrolment" : `${uses} enrolments`;
  const whose = machineUuid === "" ? "any machine" : `machine ${machineUuid}`;
  return `token ${id} is good for ${times} of ${whose} until ${expiresAt?.toISOString() ?? "?"}; it is not shown again`;
}

function addList(parent: Command, world: World): void {
  parent
    .command("ls")
    .description("list the tokens, also those that are over; their texts are known to nobody")
    .addHelpText("after", `\nExamples:\n  bmcctl token ls\n${exitCodeHelp}`)
    .action(async (_options: unknown, command: Command) => {
      await using session = openSession(world, command);
      const { tokens } = await session.client.listTokens({}, world.interrupt);
      world.stdout.write(
        rendered(session.output, { asDocument: () => tokens.map(tokenDocument), asTable: () => tokenTable(tokens) }),
      );
    });
}

function addRevoke(parent: Command, world: World): void {
  parent
    .command("revoke")
    .description("end a token, and the enrolments under way that it let in")
    .argument("<id>", 'identifier of the token, as "bmcctl token ls" shows it')
    .addHelpText("after", `\nExamples:\n  bmcctl token revoke rvt_0123456789ab\n${exitCodeHelp}`)
    .action(async (id: string, _options: unknown, command: Command) => {
      await using session = openSession(world, command);
      const { token } = await session.client.revokeToken({ id: idOf(id) }, world.interrupt);
      if (token === undefined) throw new Error("the service answered without the token");
      world.stdout.write(
        rendered(session.output, { asDocument: () => tokenDocument(token), asTable: () => tokenTable([token]) }),
      );
    });
}

/** Not quoted in the error: somebody may give the whole text, and the service needs no more than its beginning. */
function idOf(text: string): string {
  if (/^rvt_[0-9a-f]{12,}$/.test(text)) return text.slice(0, 16);
  throw new UsageError('that is no identifier of a token (rvt_0123456789ab); "bmcctl token ls" shows them');
}

function tokenDocument(token: Token): Document {
  const { id, machineUuid, createdAt, expiresAt, uses, used, revokedAt, createdBy } = token;
  return {
    id: printable(id),
    ...(machineUuid === "" ? {} : { machine_id: printable(machineUuid) }),
    state: stateOf(token),
    uses,
    used,
    created_by: printable(createdBy),
    ...(createdAt && { created_at: createdAt.toISOString() }),
    ...(expiresAt && { expires_at: expiresAt.toISOString() }),
    ...(revokedAt && { revoked_at: revokedAt.toISOString() }),
  };
}

function tokenTable(tokens: readonly Token[]): string {
  const rows = tokens.map((token) => [
    printable(token.id),
    printable(token.machineUuid || "any"),
    stateOf(token),
    `${token.used}/${token.uses}`,
    token.expiresAt?.toISOString() ?? "",
    printable(token.createdBy),
  ]);
  return table(["ID", "MACHINE ID", "STATE", "USED", "EXPIRES", "CREATED BY"], rows);
}

function stateOf({ revokedAt, expiresAt, used, uses }: Token): string {
  if (revokedAt !== undefined) return "revoked";
  if (used >= uses) return "spent";
  return expiresAt !== undefined && expiresAt.getTime() <= Date.now() ? "expired" : "good";
}
