import type { PeerCertificate } from "node:tls";
import { status } from "@grpc/grpc-js";
import { RpcError } from "./rpc-error.ts";

/** What a caller may do; stands in the OU of the subject of its certificate. */
export type Role = "agent" | "viewer" | "operator" | "admin";

/** A role and those that may do the same and more, the least first. An agent may enrol, and nobody else may. */
const sufficient: Readonly<Record<Role, readonly Role[]>> = {
  agent: ["agent"],
  viewer: ["viewer", "operator", "admin"],
  operator: ["operator", "admin"],
  admin: ["admin"],
};

/** What a certificate says. */
export interface Identity {
  /** As they stand there; some may be unknown. */
  readonly units: readonly string[];
  /** The certificate's common name; empty if it has none. */
  readonly commonName: string;
}

/** Who calls. */
export interface Caller {
  /** With which the call is made. */
  readonly role: Role;
  /** The certificate's common name, for history and log. */
  readonly name: string;
}

/** What the certificate says, which TLS has verified already. */
export function identityOf(certificate: PeerCertificate | undefined): Identity {
  const { OU, CN } = certificate?.subject ?? {};
  return { units: listOf(OU), commonName: listOf(CN)[0] ?? "" };
}

/** The highest of the roles that `identity` has; undefined if it has none. */
export function roleOf({ units }: Identity): Role | undefined {
  const ranked: readonly Role[] = ["admin", "operator", "viewer", "agent"];
  return ranked.find((role) => units.includes(role));
}

/**
 * @param what that is to be done, for the refusal: "SetPower"
 * @throws RpcError PERMISSION_DENIED naming the role that is needed
 */
export function requireRole(identity: Identity, needed: Role, what: string): Caller {
  const { units, commonName } = identity;
  const role = sufficient[needed].findLast((each) => units.includes(each));
  if (role !== undefined) return { role, name: commonName || role };
  const has = units.length === 0 ? "no role (OU)" : `role (OU) "${units.join(", ")}"`;
  throw new RpcError(status.PERMISSION_DENIED, `${what} needs role "${needed}", the client certificate has ${has}`);
}

const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * A certificate that was made for one machine enrols no other one.
 * @throws RpcError PERMISSION_DENIED
 */
export function requireOwnMachine({ name }: Caller, machineUuid: string): void {
  if (!uuidForm.test(name) || isBoundTo(name, machineUuid)) return;
  throw new RpcError(
    status.PERMISSION_DENIED,
    `the client certificate is that of machine ${name.toLowerCase()}: it cannot enrol machine ${machineUuid}`,
  );
}

/** Whether a certificate with that common name is the machine's own. */
export function isBoundTo(commonName: string, machineUuid: string): boolean {
  return commonName.toLowerCase() === machineUuid;
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}
