import { type ChassisState, IdentifyLed } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type BmcServiceServer,
  BootTarget,
  ConflictDecision,
  type GivenAccount,
  PowerAction,
  type SetIdentifyLedRequest,
} from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { BootOverride, Driver, DriverTarget, LedChange, PowerChange } from "../drivers/driver.ts";
import { type DriverList, NotReadyError, type Served } from "../drivers/driver-list.ts";
import type { Endpoint } from "../endpoint.ts";
import { HandOffError } from "../hand-off/hand-off-error.ts";
import type { HandOffs } from "../hand-off/hand-offs.ts";
import { type ImportOptions, importReport } from "../import/import-report.ts";
import { type BmcRecord, type BmcRow, ClaimConflictError, NoSuchRowError, type Store } from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";
import {
  accountMessage,
  auditMessage,
  bmcMessage,
  briefMessage,
  conflictMessage,
  historyMessage,
  type Reach,
} from "./bmc-message.ts";
import { watchBmcs } from "./bmc-watch.ts";
import { requireKey, requireMac, requireRange } from "./fields.ts";
import { requireGivenAccount, requireGivenAddress } from "./given-account.ts";
import type { CallContext, Guard } from "./guarded.ts";
import { briefRow, listBmcs, wholeRow } from "./list-bmcs.ts";
import { invalid } from "./rpc-error.ts";
import { tokenCalls } from "./token-calls.ts";

export interface BmcServiceOptions {
  readonly store: Store;
  readonly drivers: DriverList;
  readonly handOffs: HandOffs;
  readonly reach: Reach;
  /** Whether a machine that comes with an enrolment token can be given a certificate. */
  readonly takesTokens: boolean;
  readonly imports: Omit<ImportOptions, "store" | "handOffs">;
}

/** Entries of history or audit log in one answer. */
const pageDefault = 100;
const pageMost = 1_000;

/** The service that operators call; see the contract. */
export function bmcService(
  { store, drivers, handOffs, reach, takesTokens, imports }: BmcServiceOptions,
  guard: Guard,
): BmcServiceServer {
  /** @throws NoSuchRowError; RpcError if a UUID has several rows: which one is meant is not for us to guess */
  async function byKey(field: string, text: string, context: CallContext): Promise<BmcRecord> {
    const key = requireKey(field, text);
    const found =
      "key" in key ? [await store.bmc(key.key)].flatMap((row) => row ?? []) : await store.bmcsOfUuid(key.uuid);
    const [only] = found;
    if (only === undefined) {
      throw new NoSuchRowError(
        "key" in key
          ? `there is no BMC ${key.key}`
          : `there is no BMC of machine ${key.uuid}, and no such machine without one`,
      );
    }
    if (found.length > 1) {
      const keys = found.map(({ row }) => row.key).join(", ");
      throw invalid(field, `${found.length} rows have that UUID; name one by its key: ${keys}`);
    }
    context.note({ mac: only.row.key });
    return only;
  }

  async function byMac(text: string, context: CallContext): Promise<BmcRecord> {
    const mac = requireMac("mac", text);
    context.note({ mac });
    const found = await store.bmc(mac);
    if (found === undefined) throw new NoSuchRowError(`there is no BMC ${mac}`);
    return found;
  }

  async function serve<T>(
    mac: string,
    context: CallContext,
    action: string,
    ask: (driver: Driver, target: DriverTarget, signal: AbortSignal) => Promise<T>,
  ): Promise<Served<T>> {
    return drivers.serve(await byMac(mac, context), { action, acts: false }, ask, context.signal);
  }

  /** Like `serve`, for what changes the machine: the history says who did it, also when it failed. */
  async function act<T>(
    mac: string,
    context: CallContext,
    action: string,
    ask: (driver: Driver, target: DriverTarget, signal: AbortSignal) => Promise<T>,
  ): Promise<Served<T>> {
    const record = await byMac(mac, context);
    const { row } = record;
    const entry = { mac: row.mac, machineUuid: row.machineUuid ?? "", actor: context.caller.name, action };
    const remember = (detail: string) =>
      unlessStoreFails(context, () => store.addHistory({ ...entry, at: new Date(), detail }));
    let served: Served<T>;
    try {
      served = await drivers.serve(record, { action, acts: true }, ask, context.signal);
    } catch (error) {
      await remember(`failed: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
    await remember(`by ${served.servedBy}`);
    return served;
  }

  /** Takes an account that an operator gave; the history says so also when it was refused. */
  async function adopt(
    { key, mac, machineUuid = "" }: BmcRow,
    account: GivenAccount,
    address: Endpoint | undefined,
    context: CallContext,
  ): Promise<string> {
    const actor = context.caller.name;
    const login = requireGivenAccount(account);
    try {
      return await handOffs.adopt(key, login, address, actor, context.signal);
    } catch (error) {
      if (error instanceof HandOffError || error instanceof ClaimConflictError) {
        const entry = { at: new Date(), mac, machineUuid, actor, action: "account given" };
        const detail = `account "${login.userName}" refused: ${error.message}`;
        await unlessStoreFails(context, () => store.addHistory({ ...entry, detail }));
      }
      throw error;
    } finally {
      login.password.wipe();
    }
  }

  /** Gives the account in use a new password; the history says so also when that failed. */
  async function rotate({ key, mac, machineUuid = "" }: BmcRow, context: CallContext): Promise<void> {
    const entry = { mac, machineUuid, actor: context.caller.name };
    const remember = (action: string, detail: string) =>
      unlessStoreFails(context, () => store.addHistory({ ...entry, at: new Date(), action, detail }));
    try {
      await remember("rotated", await handOffs.rotate(key, context.caller.name, context.signal));
    } catch (error) {
      if (error instanceof HandOffError) await remember("rotation failed", error.message);
      throw error;
    }
  }

  /** The state that was read on the way; no reason to fail a call that has an answer. */
  function recordChassis(mac: string, state: ChassisState, context: CallContext): Promise<void> {
    return unlessStoreFails(context, () => store.recordChassis(requireMac("mac", mac), state));
  }

  const bootResponse = ({ value, servedBy }: Served<BootOverride>) => ({ ...value, servedBy });

  return {
    listBmcs: guard.unary("ListBmcs", ({ brief = false, ...page }) =>
      listBmcs(store, page, async (outline) => {
        if (brief) return briefRow(briefMessage(outline, reach));
        const record = await store.bmc(outline.row.key);
        return record && wholeRow(bmcMessage(record, reach, false));
      }),
    ),

    getBmc: guard.unary("GetBmc", async ({ key, showSecrets }, context) => {
      const record = await byKey("key", key, context);
      if (showSecrets) await noteSecretsShown(store, record, context);
      return { bmc: bmcMessage(record, reach, showSecrets) };
    }),

    watchBmcs: guard.stream("WatchBmcs", (_request, { signal }) =>
      watchBmcs(store, (record) => bmcMessage(record, reach, false), signal),
    ),

    updateBmc: guard.unary("UpdateBmc", async (request, context) => {
      const { row } = await byKey("mac", request.mac, context);
      const address = requireGivenAddress(request, reach.networks);
      if (request.drivers.length > 0) checkDrivers(request.drivers, drivers.names);
      if (row.mac === "" && request.account === undefined) {
        throw new NotReadyError(`machine ${row.key} has no BMC that is known: give an account and its address`);
      }
      // The account first: if it is refused, nothing is changed.
      const key = request.account === undefined ? row.key : await adopt(row, request.account, address, context);
      if (request.drivers.length > 0) {
        await store.updateDrivers(key, request.drivers, context.caller.name, new Date());
      }
      return { bmc: bmcMessage(await byKey("mac", key, context), reach, false) };
    }),

    deleteBmc: guard.unary("DeleteBmc", async ({ key }, context) => {
      const { row } = await byKey("key", key, context);
      await store.deleteBmc(row.key, context.caller.name, new Date());
      return {};
    }),

    listAccounts: guard.unary("ListAccounts", async ({ mac, showSecrets }, context) => {
      const record = await byMac(mac, context);
      if (showSecrets) await noteSecretsShown(store, record, context);
      const accounts = await store.accounts(record.row.key);
      return { accounts: accounts.map((account) => accountMessage(account, showSecrets)) };
    }),

    getPower: guard.unary("GetPower", async ({ mac }, context) => {
      const { value, servedBy } = await serve(mac, context, "power status", (driver, target, signal) =>
        driver.readChassis(target, signal),
      );
      await recordChassis(mac, value, context);
      return { powerOn: value.powerOn, servedBy };
    }),

    setPower: guard.unary("SetPower", async ({ mac, action }, context) => {
      const change = powerChange(action);
      const { value, servedBy } = await act(mac, context, `power ${powerNames[change]}`, (driver, target, signal) =>
        driver.setPower(target, change, signal),
      );
      await recordChassis(mac, value, context);
      return { powerOn: value.powerOn, servedBy };
    }),

    getBootTarget: guard.unary("GetBootTarget", async ({ mac }, context) =>
      bootResponse(
        await serve(mac, context, "boot target status", (driver, target, signal) =>
          driver.readBootOverride(target, signal),
        ),
      ),
    ),

    setBootTarget: guard.unary("SetBootTarget", async ({ mac, target: wanted, persistent, efi }, context) => {
      if (bootNames[wanted] === undefined) throw invalid("target", "name a boot target");
      const override = { target: wanted, persistent, efi };
      const action = `boot target ${bootNames[wanted]}${persistent ? " (persistent)" : ""}`;
      return bootResponse(
        await act(mac, context, action, (driver, target, signal) => driver.setBootOverride(target, override, signal)),
      );
    }),

    getIdentifyLed: guard.unary("GetIdentifyLed", async ({ mac }, context) => {
      const { value, servedBy } = await serve(mac, context, "identify LED status", (driver, target, signal) =>
        driver.readChassis(target, signal),
      );
      await recordChassis(mac, value, context);
      return { state: value.identifyLed, servedBy };
    }),

    setIdentifyLed: guard.unary("SetIdentifyLed", async (request: SetIdentifyLedRequest, context) => {
      const change = ledChange(request);
      const { value, servedBy } = await act(request.mac, context, "identify LED", (driver, target, signal) =>
        driver.setIdentifyLed(target, change, signal),
      );
      await recordChassis(request.mac, value, context);
      return { state: value.identifyLed, servedBy };
    }),

    console: guard.unimplemented(
      "Console",
      "Console: this version of the service has no driver for the serial console",
    ),

    rotateAccount: guard.unary("RotateAccount", async ({ mac }, context) => {
      await rotate((await byMac(mac, context)).row, context);
      return { bmc: bmcMessage(await byMac(mac, context), reach, false) };
    }),

    importReport: guard.unary("ImportReport", async ({ report }, context) => {
      const { key, ...imported } = await importReport({ store, handOffs, ...imports }, report, context);
      return { ...imported, bmc: bmcMessage(await byKey("report", key, context), reach, false) };
    }),

    ...tokenCalls(store, guard, takesTokens),
    listConflicts: guard.unary("ListConflicts", async ({ all }) => ({
      conflicts: (await store.conflicts(all)).map(conflictMessage),
    })),

    resolveConflict: guard.unary("ResolveConflict", async ({ id, decision }, context) => {
      if (!/^\d{1,15}$/.test(id)) throw invalid("id", "it is no number of a conflict");
      context.note({ conflict: id });
      switch (decision) {
        case ConflictDecision.CONFLICT_DECISION_ACCEPTED:
        case ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE:
        case ConflictDecision.CONFLICT_DECISION_DISMISSED: {
          const decided = await store.resolveConflict(Number(id), decision, context.caller.name, new Date());
          return { conflict: conflictMessage(decided) };
        }
        default:
          throw invalid("decision", "say whether the claim is accepted or dismissed");
      }
    }),

    listAudit: guard.unary("ListAudit", async ({ limit, key, before }) => {
      const wanted = limit === 0 ? pageDefault : requireRange("limit", limit, 1, pageMost);
      const subjects = key === "" ? undefined : await subjectsOf(store, key);
      const { entries, intact } = await store.audit({
        limit: wanted,
        subjects,
        before: before === 0n ? undefined : Number(before),
      });
      return { entries: entries.map(auditMessage), intact };
    }),
    listHistory: guard.unary("ListHistory", async ({ key, limit }, context) => {
      const wanted = limit === 0 ? pageDefault : requireRange("limit", limit, 1, pageMost);
      const parsed = requireKey("key", key);
      // The history of a machine without BMC is that of its UUID.
      const id = "key" in parsed ? parsed.key.replace(/\/.*$/s, "") : parsed.uuid;
      context.note({ mac: id });
      const entries = await store.history(id, wanted);
      // What happened stays known after a row was deleted: only a key that was never seen is not found.
      if (entries.length === 0) await byKey("key", key, context);
      return { entries: entries.map(historyMessage) };
    }),
  };
}

/**
 * What the BMC has done is done: the caller hears of it also when a full disk keeps it from being written down.
 * Told "try again" instead, it would do it twice.
 */
async function unlessStoreFails(context: CallContext, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    context.note({ notStored: error.message });
  }
}

/** What the audit log may call a row: its key, and the machine's UUID. */
async function subjectsOf(store: Store, text: string): Promise<string[]> {
  const named = requireKey("key", text);
  const [own, rows] =
    "key" in named
      ? [named.key, [await store.bmc(named.key)].flatMap((record) => record ?? [])]
      : [named.uuid, await store.bmcsOfUuid(named.uuid)];
  return [own, ...rows.flatMap(({ row }) => [row.key, row.machineUuid ?? row.key])];
}

async function noteSecretsShown(store: Store, { row }: BmcRecord, context: CallContext): Promise<void> {
  const entry = { mac: row.mac, machineUuid: row.machineUuid ?? "", actor: context.caller.name };
  await store.addHistory({ ...entry, at: new Date(), action: "secrets shown", detail: "passwords were given out" });
}

function checkDrivers(wanted: readonly string[], known: readonly string[]): void {
  for (const [i, name] of wanted.entries()) {
    const field = `drivers[${i}]`;
    if (!known.includes(name)) {
      throw invalid(field, `${JSON.stringify(name)} is no driver of this service; it has ${known.join(", ")}`);
    }
    if (wanted.indexOf(name) !== i) throw invalid(field, `${name} is named twice`);
  }
}

const powerNames: Readonly<Record<PowerChange, string>> = {
  [PowerAction.POWER_ACTION_ON]: "on",
  [PowerAction.POWER_ACTION_OFF]: "off",
  [PowerAction.POWER_ACTION_CYCLE]: "cycle",
  [PowerAction.POWER_ACTION_RESET]: "reset",
};

function powerChange(action: PowerAction): PowerChange {
  switch (action) {
    case PowerAction.POWER_ACTION_ON:
    case PowerAction.POWER_ACTION_OFF:
    case PowerAction.POWER_ACTION_CYCLE:
    case PowerAction.POWER_ACTION_RESET:
      return action;
    default:
      // What the wire carries may also be a number that the contract does not have.
      throw invalid("action", "say what to do with the power");
  }
}

const bootNames: Readonly<Partial<Record<BootTarget, string>>> = {
  [BootTarget.BOOT_TARGET_NONE]: "none",
  [BootTarget.BOOT_TARGET_PXE]: "pxe",
  [BootTarget.BOOT_TARGET_DISK]: "disk",
  [BootTarget.BOOT_TARGET_BIOS]: "bios",
  [BootTarget.BOOT_TARGET_CDROM]: "cdrom",
};

function ledChange({ state, seconds }: SetIdentifyLedRequest): LedChange {
  switch (state) {
    case IdentifyLed.IDENTIFY_LED_OFF:
    case IdentifyLed.IDENTIFY_LED_ON:
      return { state };
    case IdentifyLed.IDENTIFY_LED_TIMED:
      return { state, seconds: requireRange("seconds", seconds, 1, 255) };
    default:
      throw invalid("state", "say whether the LED is to be off, on or on for some seconds");
  }
}
