import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { formText } from "../inband/account/password-form.ts";
import { NoFreeSlotError } from "../inband/account/plan-account.ts";
import { proveAccount } from "../inband/account/prove-account.ts";
import type { Conversation } from "../inband/conversation.ts";
import { identifyMachine, type MachineIdentity } from "../inband/smbios/identify-machine.ts";
import { parseSmbios } from "../inband/smbios/parse-smbios.ts";
import { begin, type Enrolment } from "./enrolment.ts";
import { HandOffFailedError } from "./hand-off-events.ts";
import { harden } from "./harden.ts";
import { lookAtBmc } from "./look-at-bmc.ts";
import { type OpenedBmc, openBeside, type ReadyBmc } from "./open-bmc-beside.ts";
import type { LinkedBmc, Outcome } from "./outcome.ts";
import { setAccount } from "./set-account.ts";
import { type Step, StepError } from "./step.ts";
import { machineToProto } from "./to-proto.ts";
import type { World } from "./world.ts";

/**
 * The run: fastens this machine to its BMC. It may die at any point and starts from the top at the next boot, so every step
 * looks before it changes and proves what it changed. From "set account" on, some password that the service knows
 * opens the BMC; before the service has acknowledged the escrow, nothing is written to the BMC.
 * @throws StepError; the service was told then, if it had answered Begin
 */
export async function run(world: World, step: Step): Promise<Outcome> {
  const { limits } = world.settings;
  const machine = await step("identify machine", limits.localMs, (signal) => identify(world, signal), machineText);
  await using opening = openBeside(world, step, machine.smbios.ipmiDevices);
  await using enrolment = await step("begin", limits.beginMs, (signal) =>
    begin(world, machineToProto(machine), signal),
  );
  try {
    return await enrol(world, step, machine.uuid, await opening.bmc, enrolment);
  } catch (error) {
    await enrolment.abort(error);
    const cause = error instanceof StepError ? error.cause : undefined;
    const isOutcome = cause instanceof InbandLockedError || cause instanceof NoFreeSlotError;
    if (!isOutcome) throw error;
    const about = { ...common(machine.uuid, await opening.bmc), mac: enrolment.mac, reason: cause.message };
    if (cause instanceof InbandLockedError) return { kind: "locked", ...about };
    return { kind: "no free slot", ...about, occupants: cause.occupants };
  }
}

async function enrol(
  world: World,
  step: Step,
  machineUuid: string,
  bmc: OpenedBmc,
  enrolment: Enrolment,
): Promise<Outcome> {
  const { limits } = world.settings;
  if ("tried" in bmc) {
    await step(
      "report BMC",
      limits.serviceMs,
      (signal) => enrolment.reportNoBmc(bmc.tried, signal),
      () => "no BMC",
    );
    await enrolment.reportInventory();
    return { kind: "unmanaged", ...common(machineUuid, bmc), tried: bmc.tried };
  }
  // The BMC's answers are waited for, from here to the hand-off: time enough for it. It never fails.
  const inventory = enrolment.reportInventory();
  try {
    return await fasten(world, step, machineUuid, bmc, enrolment);
  } finally {
    await inventory;
  }
}

async function fasten(
  world: World,
  step: Step,
  machineUuid: string,
  bmc: ReadyBmc,
  enrolment: Enrolment,
): Promise<Outcome> {
  const { limits, rotate } = world.settings;
  const { transport, pace } = bmc;
  const talk = (signal: AbortSignal): Conversation => ({ transport, clock: world.clock, signal, pace });

  const known = rotate ? undefined : enrolment.freshAccount;
  const seen = await step(
    "inspect BMC",
    limits.inspectMs,
    (signal) =>
      lookAtBmc(talk(signal), bmc.device, known, {
        refused: bmc.refused,
        latencies: () => transport.latencies,
        note: world.note,
      }),
    seenText,
  );
  for (const finding of seen.findings) world.note(finding);
  await step("report BMC", limits.serviceMs, (signal) => enrolment.reportBmc(seen.facts, signal));
  if (seen.failure !== undefined) throw new StepError("inspect BMC", seen.failure);
  if (seen.recognised !== undefined) {
    return await handOff(world, step, enrolment, machineUuid, bmc, { ...seen.recognised, address: seen.address }, true);
  }

  // Each of the three talks to the BMC and to the service: a password that the BMC refuses is followed by another one.
  const limitMs = limits.accountMs + limits.serviceMs;
  using account = await step(
    "escrow account",
    limitMs,
    (signal) => enrolment.escrow(talk(signal)),
    ({ wanted }) => slotText(wanted),
  );
  await step(
    "set account",
    limitMs,
    async (signal) => enrolment.addFindings(await setAccount(talk(signal), account)),
    () => formText(account.current.form),
  );
  const { wanted } = account;
  const { channel, userName, slot } = wanted;
  await step(
    "prove account",
    limitMs,
    async (signal) => {
      const { proof, findings } = await proveAccount(talk(signal), wanted, account.current);
      enrolment.addFindings(findings);
      await enrolment.confirm(account, proof, signal);
      // Only once the account is proved: a BMC that takes a change badly has it already.
      if (world.settings.harden) enrolment.addFindings(await harden(talk(signal), channel));
      await enrolment.reportFindings(signal);
      return proof;
    },
    (proof) => proof,
  );
  const linked = { mac: enrolment.mac, channel, address: seen.address, userName, slot };
  return await handOff(world, step, enrolment, machineUuid, bmc, linked, false);
}

async function handOff(
  world: World,
  step: Step,
  enrolment: Enrolment,
  machineUuid: string,
  opened: OpenedBmc,
  bmc: LinkedBmc,
  recognised: boolean,
): Promise<Outcome> {
  try {
    const driver = await step("hand-off", world.settings.limits.handOffMs, (signal) => enrolment.handOff(signal));
    return { kind: recognised ? "recognised" : "linked", ...common(machineUuid, opened), bmc, driver };
  } catch (error) {
    if (!(error instanceof StepError && error.cause instanceof HandOffFailedError)) throw error;
    const { message: reason, failure } = error.cause;
    if (!enrolment.verificationRequired) return { kind: "unverified", ...common(machineUuid, opened), bmc, reason };
    return { kind: "failed", ...common(machineUuid, opened), bmc, failure, reason };
  }
}

async function identify(world: World, signal: AbortSignal): Promise<MachineIdentity> {
  return identifyMachine(parseSmbios(await world.readSmbios(signal)));
}

function common(machineUuid: string, bmc: OpenedBmc) {
  return { machineUuid, ipmi: "tried" in bmc ? { commands: 0, waitedMs: 0 } : bmc.transport.count };
}

function machineText({ uuid, smbios }: MachineIdentity): string {
  return [uuid, smbios.system.manufacturer, smbios.system.productName].filter((each) => each !== "").join(" ");
}

function seenText({ facts, address, recognised }: Awaited<ReturnType<typeof lookAtBmc>>): string {
  if (facts.mac === "") return "no LAN channel";
  const at = address === "" ? "no address" : address;
  return `${facts.mac}, ${at}, channel ${facts.channel}${recognised === undefined ? "" : ", known"}`;
}

function slotText({ userName, slot, replaces }: { userName: string; slot: number; replaces?: string }): string {
  return `"${userName}" for slot ${slot}${replaces === undefined ? "" : `, instead of "${replaces}"`}`;
}
