import type { PeerCertificate } from "node:tls";
import { status } from "@grpc/grpc-js";
import { RpcError } from "./rpc-error.ts";

/** What a caller may do; stands in the OU of the subject of its certificate. */
export type Role = "agent" | "operator";

/** Who calls. */
export interface Caller {
  readonly role: Role;
  /** The certificate's common name, for history and log. */
  readonly name: string;
}

/** What each role may call, for the refusal. */
const mayCall: Readonly<Record<Role, string>> = { agent: "EnrolmentService", operator: "BmcService" };

/**
 * The caller by its certificate, which TLS has verified already.
 * @throws RpcError PERMISSION_DENIED if the certificate does not carry the role
 */
export function requireRole(certificate: PeerCertificate | undefined, wanted: Role): Caller {
  const units = listOf(certificate?.subject?.OU);
  if (units.includes(wanted)) return { role: wanted, name: listOf(certificate?.subject?.CN)[0] ?? wanted };
  const has = units.length === 0 ? "no role (OU)" : `role (OU) "${units.join(", ")}"`;
  throw new RpcError(
    status.PERMISSION_DENIED,
    `the client certificate has ${has}: only one with role "${wanted}" may call ${mayCall[wanted]}`,
  );
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}
