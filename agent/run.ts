import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { NoFreeSlotError } from "../inband/account/plan-account.ts";
import { proveAccount } from "../inband/account/prove-account.ts";
import type { TriedWay } from "../inband/openipmi/open-bmc.ts";
import type { KnownBmc } from "../inband/recognise-bmc.ts";
import { identifyMachine, refusedUuidText } from "../inband/smbios/identify-machine.ts";
import { parseSmbios, type Smbios } from "../inband/smbios/parse-smbios.ts";
import { NotReadyError } from "../inband/wait-until-ready.ts";
import { formText } from "../ipmi/password-form.ts";
import { FailureKind } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { begin, type Enrolment } from "./enrolment.ts";
import { HandOffFailedError } from "./hand-off-events.ts";
import { harden } from "./harden.ts";
import { inspectReadyBmc, talkTo } from "./inspect-ready-bmc.ts";
import type { SeenBmc } from "./look-at-bmc.ts";
import { HiddenBmcError, type OpenedBmc, openBeside, type ReadyBmc } from "./open-bmc-beside.ts";
import type { LinkedBmc, Outcome } from "./outcome.ts";
import type { Retirement } from "./retire-former.ts";
import { setAccount } from "./set-account.ts";
import { type Step, StepError, StepTimeoutError } from "./step.ts";
import { machineToProto } from "./to-proto.ts";
import type { World } from "./world.ts";

/**
 * The run: fastens this machine to its BMC. It may die at any point and starts from the top at the next boot, so every step
 * looks before it changes and proves what it changed. From "set account" on, some password that the service knows
 * opens the BMC; before the service has acknowledged the escrow, nothing is written to the BMC.
 * The BMC is opened while the service is asked; if the firmware tells no UUID of the machine's own, it is read first.
 * @param limit aborted when its time is over, for what runs beside the steps
 * @throws StepError; the service was told then, if it had answered Begin
 */
export async function run(world: World, step: Step, limit?: AbortSignal): Promise<Outcome> {
  const { limits } = world.settings;
  const smbios = await step("identify machine", limits.localMs, (signal) => readFirmware(world, signal), machineText);
  await using opening = openBeside(world, step, smbios.ipmiDevices);
  const own = identifyMachine(smbios);
  const { machine, seen } =
    own === undefined ? await derive(world, step, smbios, await opening.bmc) : { machine: own, seen: undefined };
  await using enrolment = await step("begin", limits.beginMs, (signal) =>
    begin(world, machineToProto(machine, world.settings.site), signal),
  );
  try {
    const outcome = await enrol(world, step, machine.uuid, opening.bmc, enrolment, seen, limit);
    if (outcome.kind === "failed") await enrolment.endInVain(outcome, limit);
    return outcome;
  } catch (error) {
    await enrolment.abort(error, limit);
    const cause = error instanceof StepError ? error.cause : undefined;
    const isOutcome = cause instanceof InbandLockedError || cause instanceof NoFreeSlotError;
    if (!isOutcome && !(cause instanceof HiddenBmcError)) throw error;
    const bmc = cause instanceof HiddenBmcError ? cause.cause : await opening.bmc;
    const about = { ...common(machine.uuid, bmc), mac: enrolment.mac, reason: cause.message };
    if (cause instanceof NoFreeSlotError) return { kind: "no free slot", ...about, occupants: cause.occupants };
    return { kind: "locked", ...about };
  }
}

async function enrol(
  world: World,
  step: Step,
  machineUuid: string,
  opening: Promise<OpenedBmc>,
  enrolment: Enrolment,
  seen: SeenBmc | undefined,
  limit: AbortSignal | undefined,
): Promise<Outcome> {
  const { limits } = world.settings;
  const known = world.settings.rotate ? undefined : enrolment.knownBmc;
  const given = known?.slot === 0 ? known : undefined;
  const bmc = await opening.catch((error: Error) => {
    if (given === undefined || !isWithoutAnswer(error)) throw error;
    return error;
  });
  if (given !== undefined && (bmc instanceof Error || "tried" in bmc)) {
    return await handOffUnseen(world, step, machineUuid, bmc, enrolment, given, limit);
  }
  if (bmc instanceof Error) throw bmc;
  if ("tried" in bmc) {
    await step(
      "report BMC",
      limits.serviceMs,
      (signal) => enrolment.reportNoBmc(bmc.tried, signal),
      () => "no BMC",
    );
    await enrolment.reportInventory(limit);
    return { kind: "unmanaged", ...common(machineUuid, bmc), tried: bmc.tried };
  }
  // The BMC's answers are waited for, from here to the hand-off: time enough for it. It never fails.
  const inventory = enrolment.reportInventory(limit);
  try {
    return await fasten(world, step, machineUuid, bmc, enrolment, known, seen);
  } finally {
    await inventory;
  }
}

/** Whether a BMC could not be opened because it shows no way to it, or does not answer. */
function isWithoutAnswer(error: Error): boolean {
  const cause = error instanceof StepError ? error.cause : undefined;
  return [HiddenBmcError, NotReadyError, StepTimeoutError].some((each) => cause instanceof each);
}

/**
 * An operator has linked a BMC, and in-band there is none that answers: whether the account works shows from remote.
 * @param bmc the ways that were tried, or why the BMC could not be opened; that is thrown if the account works no more
 */
async function handOffUnseen(
  world: World,
  step: Step,
  machineUuid: string,
  bmc: Error | { readonly tried: readonly TriedWay[] },
  enrolment: Enrolment,
  known: KnownBmc,
  limit: AbortSignal | undefined,
): Promise<Outcome> {
  world.note("The BMC does not answer its machine: the service tries the account that an operator gave.");
  const inventory = enrolment.reportInventory(limit);
  try {
    const tried = bmc instanceof Error ? { tried: [] } : bmc;
    const linked = { ...known, address: "" };
    const ended = await handOff(world, step, enrolment, machineUuid, tried, linked, true);
    if (bmc instanceof Error && isAccountRefused(ended)) throw bmc;
    return ended;
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
  known: KnownBmc | undefined,
  before: SeenBmc | undefined,
): Promise<Outcome> {
  const { limits } = world.settings;
  const talk = (signal: AbortSignal) => talkTo(bmc, world, signal);

  const isSeen = before !== undefined && known === undefined;
  const seen = isSeen ? before : await inspectReadyBmc(world, step, bmc, known, before);
  world.showBmc?.({ mac: seen.facts.mac, address: seen.address, firmware: seen.facts.firmwareVersion });
  for (const finding of seen.findings) world.note(finding);
  await step("report BMC", limits.serviceMs, (signal) => enrolment.reportBmc(seen.facts, signal));
  if (seen.failure !== undefined) throw new StepError("inspect BMC", seen.failure);
  if (seen.recognised !== undefined) {
    const linked = { ...seen.recognised, address: seen.address };
    const ended = await handOff(world, step, enrolment, machineUuid, bmc, linked, true);
    if (!isAccountRefused(ended)) return ended;
    world.note("The BMC refuses the account that the service knows: another one is made.");
    return await fasten(world, step, machineUuid, bmc, enrolment, undefined, before);
  }

  // Each of the three talks to the BMC and to the service: a password that the BMC refuses is followed by another one.
  const limitMs = limits.accountMs + limits.serviceMs;
  using account = await step(
    "escrow account",
    limitMs,
    (signal) => enrolment.escrow(talk(signal)),
    ({ wanted }) => slotText(wanted),
  );
  enrolment.undo = async (ended, runLimit) =>
    (await import("./take-back.ts")).takeBack(world, bmc, account, ended, runLimit);
  await step(
    "set account",
    limitMs,
    async (signal) => {
      const former = account.former.length;
      // Before the new one works: if this run is cut off then, the next one knows that there is something left to do.
      if (former > 0) await enrolment.reportFormerAccounts(former, signal);
      enrolment.addFindings(await setAccount(talk(signal), account));
    },
    () => formText(account.current.form),
  );
  const { wanted } = account;
  const { channel, userName, slot } = wanted;
  await step(
    "prove account",
    limitMs,
    async (signal) => {
      const { proof, findings } = await proveAccount(talk(signal), wanted, account);
      enrolment.addFindings(findings);
      const nonceWritten = enrolment.wantedNonce !== "" && (await leaveNonce(world, bmc, enrolment, signal));
      await enrolment.confirm(account, proof, nonceWritten, signal);
      // Only once the account is proved: a BMC that takes a change badly has it already.
      if (world.settings.harden) enrolment.addFindings(await harden(talk(signal), channel));
      await enrolment.reportFindings(signal);
      return proof;
    },
    (proof) => proof,
  );
  const linked = { mac: enrolment.mac, channel, address: seen.address, userName, slot };
  const ended = await handOff(world, step, enrolment, machineUuid, bmc, linked, false);
  if (ended.kind !== "linked" || account.former.length === 0) return ended;
  await retire(step, limits.accountMs, (signal) => ({ conversation: talk(signal), account, enrolment }));
  return { ...ended, ...common(machineUuid, bmc) };
}

/** Most BMCs tell a GUID and need none. @returns whether it stands in the BMC */
async function leaveNonce(world: World, bmc: ReadyBmc, enrolment: Enrolment, signal: AbortSignal): Promise<boolean> {
  const nonce = await import("./linkage-nonce.ts");
  const left = await nonce.leaveNonce(talkTo(bmc, world, signal), enrolment.wantedNonce);
  if (left === undefined) return false;
  enrolment.takeBackNonce = async (later) => {
    const failure = await left.takeBack(talkTo(bmc, world, later)).catch((error: Error) => error.message);
    if (failure !== undefined) world.note(`The name of the operating system in the BMC was not put back: ${failure}`);
  };
  return left.written;
}

/** Seldom needed. A machine that is linked stays so, whatever becomes of its former accounts: the console shows it. */
async function retire(step: Step, limitMs: number, about: (signal: AbortSignal) => Retirement): Promise<void> {
  const { retireFormer } = await import("./retire-former.ts");
  try {
    await step("retire former accounts", limitMs, (signal) => retireFormer(about(signal)));
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
  }
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
  const { postponed } = enrolment;
  if (postponed !== undefined) return { kind: "unverified", ...common(machineUuid, opened), bmc, reason: postponed };
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

/** Whether the BMC answers, but the account does not open it, or its channel is closed. */
function isAccountRefused(ended: Outcome): boolean {
  if (ended.kind !== "failed") return false;
  const { failure } = ended;
  return failure === FailureKind.FAILURE_KIND_LOGIN_REFUSED || failure === FailureKind.FAILURE_KIND_PRIVILEGE;
}

async function readFirmware(world: World, signal: AbortSignal): Promise<Smbios> {
  return parseSmbios(await world.readSmbios(signal));
}

/** Few machines need it. */
async function derive(world: World, step: Step, smbios: Smbios, bmc: OpenedBmc) {
  const { deriveIdentity } = await import("./derive-identity.ts");
  return await deriveIdentity(world, step, smbios, bmc);
}

function common(machineUuid: string, bmc: OpenedBmc) {
  return { machineUuid, ipmi: "tried" in bmc ? { commands: 0, waitedMs: 0 } : bmc.transport.count };
}

function machineText(smbios: Smbios): string {
  const { uuid, manufacturer, productName } = smbios.system;
  const maker = [manufacturer, productName].filter((each) => each !== "").join(" ");
  const own = identifyMachine(smbios);
  const parts = own === undefined ? [maker, refusedUuidText(uuid)] : [own.uuid, maker];
  return parts.filter((each) => each !== "").join(own === undefined ? ": " : " ");
}

function slotText({ userName, slot, replaces }: { userName: string; slot: number; replaces?: string }): string {
  return `"${userName}" for slot ${slot}${replaces === undefined ? "" : `, instead of "${replaces}"`}`;
}
