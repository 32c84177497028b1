import { status } from "@grpc/grpc-js";
import type { BeginRequest } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { Metrics } from "../metrics.ts";
import type { AgentsAuthority } from "../pki/agents-authority.ts";
import type { AgentsCa } from "../pki/load-pki.ts";
import type { CallContext } from "../rpc/guarded.ts";
import type { EnrolmentLimits } from "../rpc/limits.ts";
import type { Caller } from "../rpc/role.ts";
import { invalid, RpcError } from "../rpc/rpc-error.ts";
import { CrowdedError } from "../store/crowded-error.ts";
import { type SessionBinding, type TokenProblem, TokenRefusedError } from "../store/enrolment-token.ts";
import type { Session, Store } from "../store/store.ts";
import type { Liveness } from "./liveness.ts";
import { sha256 } from "./sha256.ts";
import { tokenId } from "./token-text.ts";

export interface AdmissionOptions {
  readonly store: Store;
  readonly metrics: Metrics;
  readonly liveness: Liveness;
  /** Undefined: this site has none. */
  readonly agentsCa: AgentsCa | undefined;
  readonly limits: EnrolmentLimits;
}

/** What a Begin is admitted with. */
export interface Admitted {
  readonly binding: SessionBinding;
  /** Issued for this enrolment, DER; empty: the caller has one. */
  readonly certificate: Buffer;
}

/** The clock of this machine may have been set back meanwhile, ms. */
const backdatedMs = 3_600_000;

/** What a site needs to take enrolment tokens. */
export const noAgentsCa =
  "this service has no authority for agents, so it takes no enrolment tokens: make one beside its certificates " +
  "(bmc-service init-pki --agents-ca-only --out PKI) and start it again";

/** Decides who may begin an enrolment and with which certificate it goes on, and who may go on with it. */
export class Admission {
  readonly #options: AdmissionOptions;
  #authority: Promise<AgentsAuthority> | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * @param expiresAt when the session ends, unless it follows an earlier one with the same use of a token; a certificate that is issued for it ends then too
   * @throws RpcError, TokenRefusedError
   */
  async admit(
    request: BeginRequest,
    machineUuid: string,
    { caller, from, note }: Pick<CallContext, "caller" | "from" | "note">,
    now: Date,
    expiresAt: Date,
  ): Promise<Admitted> {
    const { store, limits, agentsCa, liveness } = this.#options;
    const { enrolmentToken, certificateRequest, bootId } = request;
    const id = tokenId(enrolmentToken);
    const tokenHash = enrolmentToken.length === 0 ? undefined : sha256(enrolmentToken);
    enrolmentToken.fill(0);
    if (tokenHash === undefined) requireCertificate(caller, certificateRequest);
    else {
      // First of all, and cheap: a token that opens nothing costs neither a signature nor a write.
      const { token, problem } = await store.lookAtToken(tokenHash, { machineUuid, bootId }, now);
      // What is no token may be another secret, given by mistake: not a character of that is written down.
      if (token !== undefined) note({ token: id });
      if (problem !== undefined) throw await this.#refused(problem, from);
    }
    const credential = Buffer.from(tokenHash ?? caller.certificate).toString("hex");
    await limits.begin(machineUuid, credential, from);
    const { heardMs } = liveness;
    const admitNew = () => limits.newMachine(credential, from);
    if (certificateRequest.length === 0 || caller.credential === "plaintext") {
      if (caller.credential === "none" || caller.credential === "of one enrolment") {
        throw invalid("certificate_request", "it is missing: a machine without a certificate has to ask for one");
      }
      const { certificate } = caller;
      return { certificate: none, binding: { certificate, keyHash: certificate, tokenHash, heardMs, admitNew } };
    }
    if (agentsCa === undefined) throw new RpcError(status.FAILED_PRECONDITION, noAgentsCa);
    // The X.509 library is as large as everything else together.
    const pki = await import("../pki/agents-authority.ts");
    this.#authority ??= pki.openAgentsAuthority(agentsCa);
    const asked = await pki.readCertificateRequest(certificateRequest, machineUuid).catch((error: unknown) => {
      throw error instanceof pki.CertificateRequestError ? invalid("certificate_request", error.message) : error;
    });
    const { keyHash } = asked;
    const look = tokenHash && (await store.lookAtToken(tokenHash, { machineUuid, bootId, keyHash }, now));
    if (look?.problem !== undefined) throw await this.#refused(look.problem, from);
    const notAfter = look?.taken?.until ?? expiresAt;
    const validity = { notBefore: new Date(now.getTime() - backdatedMs), notAfter };
    const certificate = await (await this.#authority).issue(asked, machineUuid, validity);
    const binding = { certificate: sha256(certificate), keyHash, tokenHash, heardMs, admitNew };
    return { certificate, binding };
  }

  /** Whoever lost the race for a token, or brings too much, is held back like who was refused at first. */
  async refuse(error: unknown, { from }: Pick<CallContext, "from">): Promise<never> {
    if (error instanceof TokenRefusedError) throw await this.#refused(error.problem, from);
    if (error instanceof CrowdedError) await this.#options.limits.holdBack();
    throw error;
  }

  /** @throws RpcError if there were too many from there */
  async #refused(problem: TokenProblem, from: string): Promise<TokenRefusedError> {
    await this.#options.limits.wrongToken(from);
    return new TokenRefusedError(problem);
  }

  /** Counts a token that was refused, and passes the error on. */
  countRefusal(error: unknown): never {
    if (error instanceof TokenRefusedError) this.#options.metrics.tokenRefused(error.problem);
    throw error;
  }

  /**
   * A session token is worth nothing without the certificate for which it was given.
   * @throws RpcError UNAUTHENTICATED
   */
  requireBound(session: Session, caller: Caller): void {
    const { certificate } = session;
    if (certificate !== undefined && Buffer.compare(certificate, caller.certificate) !== 0) {
      const details = "session token of another certificate; begin again";
      throw new RpcError(status.UNAUTHENTICATED, details, { attack: "stolen session token" });
    }
    if (session.ended !== "") {
      throw new RpcError(status.UNAUTHENTICATED, `session_token: over, ${session.ended}; begin again`);
    }
    this.#options.liveness.heard(session.id);
  }
}

const none = Buffer.alloc(0);

function requireCertificate({ credential }: Caller, certificateRequest: Uint8Array): void {
  switch (credential) {
    case "none":
      throw new RpcError(
        status.PERMISSION_DENIED,
        "Begin needs a client certificate or an enrolment token (bmcctl token create), and the machine has shown neither",
        { attack: "enrolment token" },
      );
    case "of one enrolment":
      throw new RpcError(
        status.PERMISSION_DENIED,
        "the client certificate was issued for one enrolment only; begin again with an enrolment token",
        { attack: "certificate of another machine" },
      );
    case "of the site":
      if (certificateRequest.length === 0) return;
      throw new RpcError(
        status.PERMISSION_DENIED,
        "certificate_request: a certificate for a machine is issued for an enrolment token only",
      );
    case "plaintext":
      return;
    default:
      credential satisfies never;
  }
}
