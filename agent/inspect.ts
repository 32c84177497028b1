import { readFile } from "node:fs/promises";
import { scanAccounts } from "../inband/account/scan-accounts.ts";
import { systemClock } from "../inband/clock.ts";
import { type Conversation, sendPatiently } from "../inband/conversation.ts";
import { deriveMachine, UnreadableIdentityError } from "../inband/derive-machine.ts";
import { type BmcInspection, inspectBmc, inspectWithoutLan } from "../inband/inspect-bmc.ts";
import type { KcsAddress } from "../inband/kcs/kcs-address.ts";
import { NoLanChannelError } from "../inband/lan-channel.ts";
import { NoBmcError, type TriedWay } from "../inband/openipmi/open-bmc.ts";
import { Pace } from "../inband/pace.ts";
import { identifyMachine } from "../inband/smbios/identify-machine.ts";
import { parseSmbios, type Smbios } from "../inband/smbios/parse-smbios.ts";
import { readSmbiosTables, type SmbiosTables } from "../inband/smbios/read-tables.ts";
import { DeviceIdRefusedError, unknownDevice, waitUntilReady } from "../inband/wait-until-ready.ts";
import { getUserAccess } from "../ipmi/commands/get-user-access.ts";
import type { DeviceIdentity } from "../ipmi/device-identity.ts";
import { manufacturerName } from "../ipmi/manufacturer.ts";
import type { Transport } from "../ipmi/transport.ts";
import { type CountingTransport, countingTransport } from "./counting-transport.ts";
import { derivedText } from "./derive-identity.ts";
import { type Document, documentOf } from "./inspect-document.ts";
import { gatherInventory } from "./inventory.ts";
import { latenciesText } from "./latencies.ts";
import { openInband } from "./open-inband.ts";
import { version } from "./version.ts";

/** What inspect touches; a test stands in for it. */
export interface InspectWorld {
  readonly readSmbios: () => Promise<SmbiosTables>;
  /** @param onFailed told of every way that failed, also if a later one works */
  readonly openBmc: (signal: AbortSignal, onFailed: (way: TriedWay) => void) => Promise<Transport>;
  readonly inventory: (signal: AbortSignal) => Promise<unknown>;
  readonly kernel: () => Promise<string>;
}

const readyLimitMs = 15_000;
const kcsWaitMs = 5_000;
const inspectLimitMs = 120_000;
const inventoryLimitMs = 15_000;

/**
 * Everything that can be found out about machine and BMC, as text in the wanted format. Changes nothing: no command that
 * writes is sent. Each part that fails is told in `problems` and does not keep the others back.
 */
export async function inspect(
  output: "table" | "yaml" | "json",
  way: { readonly device: string | undefined; readonly kcs: KcsAddress | undefined },
): Promise<string> {
  const found = await findOut({
    readSmbios: () => readSmbiosTables(),
    openBmc: (signal, onFailed) => openInband({ ...way, kcsWaitMs, onFailed }, signal),
    inventory: gatherInventory,
    kernel: () => readFile("/proc/sys/kernel/osrelease", "latin1"),
  });
  switch (output) {
    case "json":
      return `${JSON.stringify(found, undefined, 2)}\n`;
    case "yaml":
      return (await import("yaml")).stringify(found);
    case "table":
      return (await import("./inspect-text.ts")).inspectText(found);
    default:
      return output satisfies never;
  }
}

/** The findings as a document of plain values with snake_case keys. */
export async function findOut(world: InspectWorld): Promise<Document> {
  const problems: string[] = [];
  const part = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const kernel = (await part("kernel", world.kernel))?.trim();
  const smbios = await part("SMBIOS", async () => parseSmbios(await world.readSmbios()));
  const { read, ...bmc } = await findOutBmc(world, problems, part);
  const uuid = smbios && ((await part("machine UUID", async () => uuidOf(smbios, read))) ?? refusedUuid(smbios));
  const inventory = await part("inventory", () => world.inventory(AbortSignal.timeout(inventoryLimitMs)));
  return documentOf({
    agent: `metal-rivet ${version}`,
    kernel,
    machine: smbios && {
      ...uuid,
      smbiosVersion: `${smbios.version.major}.${smbios.version.minor}`,
      bios: smbios.bios,
      system: smbios.system,
      baseboard: smbios.baseboard,
      chassis: smbios.chassis,
      ipmiDevices: smbios.ipmiDevices,
      hostInterfaces: smbios.hostInterfaces,
    },
    ...bmc,
    inventory,
    problems,
  });
}

/** What the run would take for the machine's UUID. @throws BogusUuidError, UnreadableIdentityError */
function uuidOf(smbios: Smbios, read: FoundBmc["read"]): object {
  const own = identifyMachine(smbios);
  if (own !== undefined) return { uuid: own.uuid };
  if (read === undefined) throw new UnreadableIdentityError(smbios.system.uuid, "the BMC could not be read");
  const derived = deriveMachine(smbios, read === "no BMC" ? undefined : read);
  return { uuid: derived.uuid, uuidDerived: true, ...refusedUuid(smbios), uuidRemark: derivedText(derived) };
}

const refusedUuid = ({ system }: Smbios) => ({ firmwareUuid: system.uuid });

interface FoundBmc {
  readonly bmc?: object | undefined;
  /** The ways that failed. */
  readonly tried?: readonly TriedWay[] | undefined;
  /** What the BMC told of itself; undefined if it could not be asked. */
  readonly read?: BmcInspection | "no BMC" | undefined;
}

type Part = <T>(what: string, work: () => Promise<T>) => Promise<T | undefined>;

async function findOutBmc(world: InspectWorld, problems: string[], part: Part): Promise<FoundBmc> {
  const signal = AbortSignal.timeout(inspectLimitMs);
  let transport: CountingTransport;
  const failed: TriedWay[] = [];
  try {
    transport = countingTransport(await world.openBmc(signal, (way) => failed.push(way)), systemClock);
  } catch (error) {
    if (error instanceof NoBmcError) return { bmc: undefined, tried: error.tried, read: "no BMC" };
    problems.push(`BMC: ${error instanceof Error ? error.message : String(error)}`);
    return {};
  }
  await using _ = transport;
  const conversation: Conversation = { transport, clock: systemClock, signal, pace: new Pace(readyLimitMs) };
  const device = await part("BMC", () => identityOf(conversation, problems));
  const tried = failed.length === 0 ? undefined : failed;
  if (!device) return { bmc: { transport: transport.name }, tried };
  const seen = await part("BMC", () => inspectAll(conversation, device, problems));
  const found = seen ?? { transport: transport.name, ...device };
  const manufacturer = manufacturerName(device.manufacturerId);
  const users =
    seen === undefined || seen.channel === 0
      ? undefined
      : await part("users", () => readUsers(conversation, seen.channel));
  const commandLatencies = latenciesText(transport.latencies);
  return { bmc: { ...found, manufacturer, users, commandLatencies }, tried, read: seen };
}

/** A BMC that refuses to tell what it is may still tell other things. */
async function identityOf(conversation: Conversation, problems: string[]): Promise<DeviceIdentity> {
  try {
    return await waitUntilReady(conversation, readyLimitMs);
  } catch (error) {
    if (!(error instanceof DeviceIdRefusedError)) throw error;
    problems.push(`BMC: ${error.message}`);
    return unknownDevice;
  }
}

/** Without a LAN channel GUID and FRU may be told all the same. */
async function inspectAll(
  conversation: Conversation,
  device: DeviceIdentity,
  problems: string[],
): Promise<BmcInspection> {
  try {
    return await inspectBmc(conversation, device, { extent: "all", waitMs: 0, note: () => undefined });
  } catch (error) {
    if (!(error instanceof NoLanChannelError)) throw error;
    problems.push(`BMC: ${error.message}`);
    return await inspectWithoutLan(conversation, device, error);
  }
}

/** Who is on the BMC: names and rights on the LAN channel. A BMC tells no password, to nobody. */
async function readUsers(conversation: Conversation, channel: number): Promise<object> {
  const { maxUserIds, fixedNameCount, slots } = await scanAccounts(conversation, channel);
  const named = [];
  for (const slot of slots) {
    if (slot.state === "empty") continue;
    const access = await sendPatiently(conversation, getUserAccess, { channelNumber: channel, userId: slot.id }).then(
      ({ enabled, access }) => ({ status: enabled.status, ...access }),
      (error: Error) => ({ problem: error.message }),
    );
    named.push({ ...(slot.state === "named" ? { id: slot.id, name: slot.name } : slot), ...access });
  }
  return { maxUserIds, fixedNameCount, emptySlots: slots.filter(({ state }) => state === "empty").length, named };
}
