import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { scanAccounts } from "../inband/account/scan-accounts.ts";
import { systemClock } from "../inband/clock.ts";
import type { Note } from "../inband/note.ts";
import { NoBmcError } from "../inband/openipmi/open-bmc.ts";
import { readSmbiosTables } from "../inband/smbios/read-tables.ts";
import { DeviceIdRefusedError, waitUntilReady } from "../inband/wait-until-ready.ts";
import type { KeyName } from "../proto/agent-keys.ts";
import type { ExitCode } from "../proto/exit-code.ts";
import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Linkage } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { ConfigError, fileProblem } from "./config/config-error.ts";
import { readLocalSources } from "./configure.ts";
import { explainFailure } from "./failure.ts";
import { documentOf } from "./inspect-document.ts";
import { lookAtBmc } from "./look-at-bmc.ts";
import { openInband } from "./open-inband.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "./outcome.ts";
import { limitedRun } from "./perform-run.ts";
import { type PretendedService, pretendedService, standardPolicy } from "./plan-service.ts";
import { type WithholdingTransport, withholdingTransport } from "./plan-transport.ts";
import { type NeedlessCommand, needlessCommands, type PlannedCommand, plannedCommands } from "./plan-writes.ts";
import { runSettings } from "./real-world.ts";
import type { RunSettings, World } from "./world.ts";

/** What `metal-rivet plan` is asked for. */
export interface PlanRequest {
  readonly output: "text" | "yaml" | "json";
  /** Device node of the BMC; undefined: the usual ones. */
  readonly device: string | undefined;
  /** User name of an account that an earlier run made. */
  readonly account: string | undefined;
  readonly flags: ReadonlyMap<KeyName, string>;
  /** File with the kernel command line. */
  readonly cmdline: string;
}

/** What the run would do. */
export interface Plan {
  /** The kind of the outcome, or "error". */
  readonly outcome: Outcome["kind"] | "error";
  /** With which the run would end, and with which the plan ends. */
  readonly exitCode: ExitCode;
  /** What would happen and what to do next. */
  readonly text: string;
  readonly machineUuid?: string;
  readonly bmc?: { readonly mac: string; readonly channel: number; readonly address: string };
  /** The account that the run would make or find. The random part of the name is shown as stars. */
  readonly account?: { readonly slot: number; readonly userName: string };
  /** Who sits where, if there is no place for an account. */
  readonly occupants?: readonly { readonly slot: number; readonly holder: string }[];
  /** All commands but those that read, in their order. */
  readonly commands: readonly PlannedCommand[];
  readonly notNeeded: readonly NeedlessCommand[];
  /** What was seen and what cannot be seen, one sentence each. */
  readonly remarks: readonly string[];
  /** How many commands were sent for the plan; all of them read. */
  readonly ipmiCommands: number;
}

/** What a plan touches. */
export type PlanWorld = Pick<World, "readSmbios" | "openBmc" | "clock" | "randomBelow">;

/** The plan as text in the wanted format, and the exit code. Writes nothing, neither to the BMC nor to a service. */
export async function plan(request: PlanRequest): Promise<{ readonly text: string; readonly exitCode: ExitCode }> {
  const { output, device, account } = request;
  const { local, remarks } = readLocalSources(request.flags, readCommandLine(request.cmdline));
  const world: PlanWorld = {
    readSmbios: (signal) => readSmbiosTables(undefined, signal),
    openBmc: (signal) => openInband({ device, kcs: local.kcs, kcsWaitMs: local.bmcLimitMs / 2 }, signal),
    clock: systemClock,
    randomBelow: (below) => randomInt(below),
  };
  const made = await makePlan(world, runSettings(local), local.limitMs, account);
  const all = { ...made, remarks: [...remarks, ...made.remarks] };
  return { text: await formatted(all, output), exitCode: made.exitCode };
}

async function formatted(made: Plan, output: PlanRequest["output"]): Promise<string> {
  switch (output) {
    case "json":
      return `${JSON.stringify(documentOf(made), undefined, 2)}\n`;
    case "yaml":
      return (await import("yaml")).stringify(documentOf(made));
    case "text":
      return (await import("./plan-text.ts")).planText(made);
    default:
      return output satisfies never;
  }
}

function readCommandLine(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(`file ${file}`, "--cmdline", `cannot be read: ${fileProblem(error)}`);
  }
}

/**
 * Does the run in a world in which nothing can be changed: what writes is kept back from the BMC, and the service is only
 * pretended. So the plan is what the run does, and no second list of it.
 * @param limitMs for all of it
 * @param account user name of an account that an earlier run made
 */
export async function makePlan(
  world: PlanWorld,
  settings: RunSettings,
  limitMs: number,
  account: string | undefined,
): Promise<Plan> {
  const remarks: string[] = [];
  let transport: WithholdingTransport | undefined;
  let service: PretendedService | undefined;
  let outcome: Outcome | Error;
  try {
    const note = (text: string) => remarks.push(text);
    const linkage = account === undefined ? undefined : await linkageOf(account, world, settings, note);
    const pretended = pretendedService(linkage);
    service = pretended;
    outcome = await limitedRun(
      limitMs,
      {
        ...world,
        settings,
        openBmc: async (signal) => {
          transport = withholdingTransport(await world.openBmc(signal));
          return transport;
        },
        connectService: async () => pretended.client,
        readBootId: async () => "",
        gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
        // What the run says of its writes is not true here.
        note: (text) => transport?.withheld.length || remarks.push(text),
      },
      () => undefined,
    );
  } catch (error) {
    outcome = error instanceof Error ? error : new Error(String(error));
  }
  return toPlan(outcome, transport, service, [...remarks, ...remarksOf(outcome, transport, account)]);
}

/**
 * What the service would know of the machine, had an earlier run made this account: the place where it is found.
 * Undefined if it is nowhere, or if there is no BMC to look at.
 * @param note told if it is nowhere
 */
async function linkageOf(
  account: string,
  world: PlanWorld,
  settings: RunSettings,
  note: Note,
): Promise<Linkage | undefined> {
  const { inspectMs, bmcReadyMs } = settings.limits;
  const signal = AbortSignal.timeout(inspectMs + bmcReadyMs);
  try {
    await using transport = withholdingTransport(await world.openBmc(signal));
    const conversation = { transport, clock: world.clock, signal };
    const { facts, failure } = await lookAtBmc(conversation, await waitUntilReady(conversation, bmcReadyMs), undefined);
    if (failure !== undefined) return undefined;
    const { mac, channel } = facts;
    const { slots } = await scanAccounts(conversation, channel);
    const found = slots.find((slot) => slot.state === "named" && slot.name === account);
    if (found === undefined) {
      const all = slots.every(({ state }) => state !== "unreadable");
      note(`No slot of the BMC${all ? "" : " that could be read"} holds "${account}".`);
      return undefined;
    }
    const known = { userName: account, slot: found.id, knownUserNames: [account], given: false };
    return { mac, channel, ...known, fresh: true, verifiedAt: undefined };
  } catch (error) {
    // The run ends in the same way, and says so better.
    const isTold =
      error instanceof NoBmcError || error instanceof DeviceIdRefusedError || error instanceof InbandLockedError;
    if (isTold) return undefined;
    throw error;
  }
}

function toPlan(
  outcome: Outcome | Error,
  transport: WithholdingTransport | undefined,
  service: PretendedService | undefined,
  remarks: readonly string[],
): Plan {
  const withheld = transport?.withheld ?? [];
  const { userName, facts } = service ?? {};
  const made: Plan = {
    ...(outcome instanceof Error ? { outcome: "error" as const, ...explainFailure(outcome) } : endOf(outcome)),
    ...(facts === undefined || facts.mac === "" ? {} : { bmc: bmcOf(facts) }),
    commands: plannedCommands(withheld),
    notNeeded: withheld.length === 0 ? [] : needlessCommands(withheld, transport?.refused ?? new Set()),
    remarks,
    ipmiCommands: transport?.sent ?? 0,
  };
  return userName === undefined ? made : withStars(made, userName);
}

function bmcOf({ mac, channel, ipv4Address, ipv6Addresses: [ipv6 = ""] }: BmcFacts): Plan["bmc"] & object {
  return { mac, channel, address: ipv4Address === "" ? ipv6 : ipv4Address };
}

function endOf(outcome: Outcome) {
  const { kind, machineUuid } = outcome;
  const end = { outcome: kind, exitCode: exitCodeOf(outcome), text: outcomeText(outcome), machineUuid };
  switch (kind) {
    case "linked":
    case "recognised":
      return { ...end, account: { slot: outcome.bmc.slot, userName: outcome.bmc.userName } };
    case "no free slot":
      return { ...end, occupants: outcome.occupants };
    default:
      return end;
  }
}

/** Another run makes another name: only the prefix is planned. */
function withStars(made: Plan, userName: string): Plan {
  const { userNamePrefix: prefix } = standardPolicy;
  const stars = prefix + "*".repeat(userName.length - prefix.length);
  return JSON.parse(JSON.stringify(made).replaceAll(userName, stars)) as Plan;
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case "linked":
      return `The machine would be linked to BMC ${outcome.bmc.mac}: an account is made in slot ${outcome.bmc.slot}, and the service logs in with it from remote.`;
    case "recognised":
      return `The machine would be recognised by its account "${outcome.bmc.userName}" in slot ${outcome.bmc.slot}: nothing is written, and the service logs in with it from remote.`;
    default:
      return describeOutcome(outcome);
  }
}

/** What the plan cannot know. */
function remarksOf(
  outcome: Outcome | Error,
  transport: WithholdingTransport | undefined,
  account: string | undefined,
): string[] {
  if (outcome instanceof Error || outcome.kind !== "linked") return [];
  const alike = [...(transport?.userNames ?? [])].filter(([, name]) => name.startsWith(standardPolicy.userNamePrefix));
  return [
    ...(account === undefined
      ? alike.map(
          ([slot, name]) =>
            `Slot ${slot} holds "${name}", which may be an account of an earlier run: if the service knows it and it works, the run leaves it as it is. See what it does then with --account ${name}.`,
        )
      : []),
    "Whether the BMC takes the commands cannot be seen without sending them: it may be locked against its own machine, or its policy may ask for another password; the run then tries other forms of password.",
  ];
}
