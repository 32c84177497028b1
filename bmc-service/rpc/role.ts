import type { PeerCertificate } from "node:tls";
import { status } from "@grpc/grpc-js";
import { type AgentCertificates, isIssuedHere, isShared, valuesOf } from "../pki/agent-certificates.ts";
import { RpcError } from "./rpc-error.ts";

/** What a caller may do; stands in the OU of the subject of its certificate. */
export type Role = "agent" | "boot" | "viewer" | "operator" | "admin";

/**
 * A role and those that may do the same and more, the least first. An agent may enrol, and nobody else may. `boot` is that of
 * `bmc-service boot-api`: it may make tokens for one enrolment each, and nothing else.
 */
const sufficient: Readonly<Record<Role, readonly Role[]>> = {
  agent: ["agent"],
  boot: ["boot", "operator", "admin"],
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
  readonly credential: Credential;
  /** SHA-256 of the certificate; empty if there is none. */
  readonly certificate: Uint8Array;
}

/**
 * What a caller has shown: a certificate of the site, one that this service has issued for one enrolment, or nothing. Without TLS
 * nobody is told apart.
 */
export type Credential = "of the site" | "of one enrolment" | "none" | "plaintext";

/** Who calls. */
export interface Caller extends Pick<Identity, "credential" | "certificate"> {
  /** With which the call is made. */
  readonly role: Role;
  /** The certificate's common name, for history and log. */
  readonly name: string;
}

/**
 * What the certificate says, which TLS has verified already.
 * @param agents which ones are agents' and nobody else's, whatever role stands in them
 */
export function identityOf(certificate: PeerCertificate | undefined, agents: AgentCertificates): Identity {
  if (certificate === undefined) return nobody;
  const { OU, CN } = certificate.subject;
  const isIssued = isIssuedHere(certificate, agents);
  return {
    units: isIssued || isShared(certificate, agents) ? ["agent"] : valuesOf(OU),
    commonName: valuesOf(CN)[0] ?? "",
    credential: isIssued ? "of one enrolment" : "of the site",
    certificate: Buffer.from(certificate.fingerprint256.replaceAll(":", ""), "hex"),
  };
}

const nobody: Identity = { units: [], commonName: "", credential: "none", certificate: Buffer.alloc(0) };

/** Whoever calls where there is no TLS: it is this machine itself, and may do everything. */
export const plaintextIdentity: Identity = {
  units: ["agent", "admin"],
  commonName: "plaintext",
  credential: "plaintext",
  certificate: Buffer.alloc(0),
};

/** A machine that shows no certificate, but may have an enrolment token; undefined for everybody else. */
export function withoutCertificate({ credential, certificate }: Identity): Caller | undefined {
  return credential === "none" ? { role: "agent", name: "no certificate", credential, certificate } : undefined;
}

/** The role of `identity`; undefined if it has none, or one cannot tell which. Without TLS the highest. */
export function roleOf(identity: Identity): Role | undefined {
  return isAmbiguous(identity) ? undefined : rolesIn(identity)[0];
}

/** All that are named, the highest first. */
function rolesIn({ units }: Identity): readonly Role[] {
  const ranked: readonly Role[] = ["admin", "operator", "viewer", "boot", "agent"];
  return ranked.filter((role) => units.includes(role));
}

/** A certificate has one role: a second one may have come in by mistake, and then it is not to be the one that counts. */
function isAmbiguous(identity: Identity): boolean {
  return identity.credential !== "plaintext" && rolesIn(identity).length > 1;
}

/**
 * @param what that is to be done, for the refusal: "SetPower"
 * @throws RpcError PERMISSION_DENIED naming the role that is needed
 */
export function requireRole(identity: Identity, needed: Role, what: string): Caller {
  const { units, commonName, credential, certificate } = identity;
  if (isAmbiguous(identity)) {
    const several = rolesIn(identity).join(", ");
    const details = `${what}: the client certificate has several roles (OU) "${several}"; use one that has a single role`;
    throw new RpcError(status.PERMISSION_DENIED, details, { attack: "role" });
  }
  const role = sufficient[needed].findLast((each) => units.includes(each));
  if (role !== undefined) return { role, name: commonName || role, credential, certificate };
  if (credential === "none") {
    const details = `${what} needs a client certificate, and none was shown`;
    throw new RpcError(status.PERMISSION_DENIED, details, { attack: "role" });
  }
  const has = units.length === 0 ? "no role (OU)" : `role (OU) "${units.join(", ")}"`;
  // A person who may not do what `boot` may needs a person's role.
  const least = needed === "boot" ? "operator" : needed;
  const details = `${what} needs role "${least}", the client certificate has ${has}`;
  throw new RpcError(status.PERMISSION_DENIED, details, { attack: "role" });
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
    { attack: "certificate of another machine" },
  );
}

/** Whether a certificate with that common name is the machine's own. */
export function isBoundTo(commonName: string, machineUuid: string): boolean {
  return commonName.toLowerCase() === machineUuid;
}
