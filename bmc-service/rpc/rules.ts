import { IdentifyLed } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type BmcServiceService,
  BootTarget,
  ConflictDecision,
  PowerAction,
} from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { EnrolmentServiceService } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Role } from "./role.ts";

/** What a call needs, and what of it is written to the audit log. */
export interface Rule<Q = never> {
  /** The least role. */
  readonly role: Role;
  /** Whether a caller without a certificate may come with an enrolment token instead. */
  readonly orToken?: true;
  /** The least role if the request asks for secrets; such a call is written down. Undefined: it gives none. */
  readonly secrets?: Role;
  /** For a call that changes something, and is written down: what the request wants, for people. Never a secret. */
  change?(request: Q): string;
}

/** One rule for each call of a service: the compiler misses none. */
type Rules<S> = { readonly [M in keyof S]: Rule<RequestOf<S[M]>> };
type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Q } ? Q : never;

const agent = { role: "agent" } as const;
const viewer = { role: "viewer" } as const;

export const enrolmentRules: Rules<typeof EnrolmentServiceService> = {
  begin: { role: "agent", orToken: true },
  reportBmc: agent,
  reportInventory: agent,
  escrowAccount: agent,
  confirmAccount: agent,
  abort: agent,
  watchHandOff: agent,
};

export const bmcRules: Rules<typeof BmcServiceService> = {
  listBmcs: viewer,
  getBmc: { role: "viewer", secrets: "operator" },
  watchBmcs: viewer,
  updateBmc: {
    role: "operator",
    change: ({ drivers, account, address }) =>
      listed([
        drivers.length > 0 && `drivers ${drivers.join(", ")}`,
        account !== undefined && `account "${account.userName}"`,
        address !== "" && `address ${address}`,
      ]),
  },
  deleteBmc: { role: "admin", change: () => "" },
  listAccounts: { role: "viewer", secrets: "operator" },
  getPower: viewer,
  setPower: { role: "operator", change: ({ action }) => nameOf(PowerAction, action, "POWER_ACTION_") },
  getBootTarget: viewer,
  setBootTarget: {
    role: "operator",
    change: ({ target, persistent, efi }) =>
      listed([nameOf(BootTarget, target, "BOOT_TARGET_"), persistent && "persistent", efi && "UEFI"]),
  },
  getIdentifyLed: viewer,
  setIdentifyLed: {
    role: "operator",
    change: ({ state, seconds }) =>
      listed([nameOf(IdentifyLed, state, "IDENTIFY_LED_"), seconds > 0 && `${seconds} s`]),
  },
  console: { role: "operator", change: () => "" },
  listHistory: viewer,
  rotateAccount: { role: "operator", change: () => "" },
  createToken: {
    role: "boot",
    change: ({ machineUuid, ttlSeconds, uses, purpose = "" }) =>
      listed([
        purpose !== "" && `for ${purpose}`,
        machineUuid !== "" && `machine ${machineUuid}`,
        ttlSeconds > 0 && `ttl ${ttlSeconds} s`,
        uses > 0 && `uses ${uses}`,
      ]),
  },
  listTokens: { role: "operator" },
  revokeToken: { role: "operator", change: () => "" },
  listConflicts: viewer,
  resolveConflict: {
    role: "admin",
    change: ({ decision }) => nameOf(ConflictDecision, decision, "CONFLICT_DECISION_"),
  },
  listAudit: { role: "admin" },
  importReport: { role: "operator", change: ({ report }) => `${report.length} bytes` },
};

function listed(parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(", ");
}

/** A value of an enumeration as people write it; the wire may carry one that it does not have. */
function nameOf(values: Readonly<Record<string, unknown>>, value: unknown, prefix: string): string {
  const name = Object.keys(values).find((key) => values[key] === value);
  return name?.slice(prefix.length).toLowerCase().replaceAll("_", " ") ?? String(value);
}
