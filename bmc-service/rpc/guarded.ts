import type { PeerCertificate } from "node:tls";
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { Attack } from "../attack.ts";
import { type AuditLog, AuditTrail, addressOf, subjectOf } from "../audit/audit-trail.ts";
import type { SampledRefusals } from "../audit/sampled-refusals.ts";
import type { Metrics } from "../metrics.ts";
import type { AgentCertificates } from "../pki/agent-certificates.ts";
import type { SampledLog } from "../sampled-log.ts";
import { StoreError } from "../store/store-error.ts";
import { checkSizes } from "./fields.ts";
import {
  type Caller,
  type Identity,
  identityOf,
  plaintextIdentity,
  requireRole,
  roleOf,
  withoutCertificate,
} from "./role.ts";
import { asRpcError, RpcError } from "./rpc-error.ts";
import type { Rule } from "./rules.ts";
import { wipeSecrets } from "./wiped-requests.ts";

/** What a call's log line can say besides. */
export interface Notes {
  readonly machine?: string;
  readonly mac?: string;
  /** Identifier of an enrolment token. */
  readonly token?: string;
  readonly conflict?: string;
  /** Number and hash of what the call has left in the audit log. */
  readonly audit?: string;
  /** Why something that belongs to the call is not in the store. */
  readonly notStored?: string;
}

/** What a handler gets beside the request. */
export interface CallContext {
  readonly caller: Caller;
  /** Address of the caller, without port. */
  readonly from: string;
  /** Aborted when the caller has gone, or the service stops. */
  readonly signal: AbortSignal;
  /** Adds to the log line of this call. */
  readonly note: (fields: Notes) => void;
}

export interface GuardOptions {
  /** "EnrolmentService". */
  readonly service: string;
  /** By the name of the call as the generated code has it: "setPower". */
  readonly rules: Readonly<Record<string, Rule>>;
  /** "plaintext": there is no TLS. */
  readonly agents: AgentCertificates | "plaintext";
  readonly audit: AuditLog;
  /** What of refused calls goes to the audit log. */
  readonly refusals: SampledRefusals;
  readonly log: Logger;
  /** For what strangers can cause. */
  readonly sampled: SampledLog;
  readonly metrics: Metrics;
  /** Aborted when the service stops; ends streams. */
  readonly stopping: AbortSignal;
}

/** What all kinds of calls have. */
interface AnyCall {
  readonly request?: unknown;
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate };
  on(event: "cancelled", listener: () => void): unknown;
}

/** What every call goes through: role, sizes, audit log, error to status, log line, count. */
export class Guard {
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  unary<Q, P>(method: string, handle: (request: Q, context: CallContext) => Promise<P>): handleUnaryCall<Q, P> {
    return (call, callback) => {
      // A unary call is finished when the service stops; only its caller ends it.
      const never = new AbortController().signal;
      const outcome = this.#run(method, call, never, (context) => handle(call.request, context));
      void outcome.then((ended) => ("error" in ended ? callback(ended.error) : callback(null, ended.value)));
    };
  }

  stream<Q, P>(
    method: string,
    handle: (request: Q, context: CallContext) => AsyncIterable<P>,
  ): handleServerStreamingCall<Q, P> {
    return (call) => {
      const all = async (context: CallContext) => {
        for await (const each of handle(call.request, context)) await written(call, each, context.signal);
      };
      void this.#run(method, call, this.#options.stopping, all).then((outcome) => {
        if ("error" in outcome) call.emit("error", outcome.error);
        else call.end();
      });
    };
  }

  /** A call of the contract that this release does not serve. */
  unimplemented<Q, P>(method: string, details: string): handleBidiStreamingCall<Q, P> {
    return (call) => {
      const refuse = async () => {
        throw new RpcError(status.UNIMPLEMENTED, details);
      };
      void this.#run(method, call, this.#options.stopping, refuse).then((outcome) => {
        if ("error" in outcome) call.emit("error", outcome.error);
      });
    };
  }

  #ruleOf(method: string): Rule {
    const rule = this.#options.rules[method.replace(/^[A-Z]/, (letter) => letter.toLowerCase())];
    if (rule === undefined) throw new Error(`${this.#options.service}/${method} has no rule`);
    return rule;
  }

  /**
   * Undefined for a call that is not written down. Whoever has no role for the BmcService leaves nothing but log lines:
   * strangers must not fill the disk.
   */
  #trailOf(method: string, rule: Rule, call: AnyCall, identity: Identity): AuditTrail | undefined {
    const role = roleOf(identity);
    const changes = rule.change !== undefined;
    if (role === undefined || role === "agent" || !(changes || asksForSecrets(rule, call.request))) return undefined;
    return new AuditTrail(this.#options.audit, this.#options.refusals, {
      actor: identity.commonName || role,
      role,
      action: changes ? method : "ShowSecrets",
      subject: subjectOf(call.request),
      detail: call.request === undefined ? "" : (rule.change?.(call.request as never) ?? ""),
      from: addressOf(call.getPeer()),
      changes,
    });
  }

  async #run<T>(
    method: string,
    call: AnyCall,
    stopping: AbortSignal,
    work: (context: CallContext) => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly error: Partial<StatusObject> }> {
    const { service, agents, log, sampled, metrics } = this.#options;
    const rule = this.#ruleOf(method);
    const started = performance.now();
    const from = addressOf(call.getPeer());
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort(new RpcError(status.CANCELLED, "the caller has gone")));
    const noted: Notes = {};
    let identity: Identity | undefined;
    let caller: Caller | undefined;
    let trail: AuditTrail | undefined;
    const endTrail = async (code: status, details: string) => {
      const entry = await trail?.end(status[code], details, noted.mac ?? noted.token ?? noted.conflict);
      if (entry === undefined) return;
      Object.assign(noted, { audit: `${entry.number} ${Buffer.from(entry.hash).toString("hex")}` });
    };
    /** What was done is done, and what was refused stays refused, also when that cannot be written down any more. */
    const endTrailIfPossible = async (code: status, details: string) => {
      try {
        await endTrail(code, details);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        Object.assign(noted, { notStored: error.message });
      }
    };
    const finish = (
      code: status,
      details: string,
      { bug, attack: known }: { bug?: unknown; attack?: Attack | undefined } = {},
    ) => {
      const durationMs = performance.now() - started;
      metrics.rpc(service, method, status[code], durationMs);
      const { role: who = "unknown", name: actor } = caller ?? {};
      const line = { rpc: `${service}/${method}`, role: who, actor, ...noted, code: status[code] };
      const entry = { ...line, durationMs: Math.round(durationMs * 10) / 10 };
      if (bug !== undefined) log.error({ ...entry, err: bug }, "call failed: a bug");
      else if (noted.notStored !== undefined) log.error({ ...entry, details }, "call not stored");
      else if (code === status.OK) log.info(entry, "call");
      else {
        const isStranger = identity?.credential === "none" && code === status.INVALID_ARGUMENT;
        const attack = known ?? (isStranger ? "stranger" : undefined);
        if (attack !== undefined) metrics.attack(attack);
        const fields = { ...entry, details, ...(attack === undefined ? {} : { attack, from }) };
        // The end of the audit log stands here too: what has an entry there has its line.
        if (noted.audit !== undefined) log.warn(fields, "call refused");
        else sampled.warn(`${attack ?? status[code]} of ${whoIs(identity)}`, fields, "call refused");
      }
    };
    try {
      identity =
        agents === "plaintext" ? plaintextIdentity : identityOf(call.getAuthContext().sslPeerCertificate, agents);
      trail = this.#trailOf(method, rule, call, identity);
      const stranger = rule.orToken ? withoutCertificate(identity) : undefined;
      if (stranger !== undefined) caller = stranger;
      else
        caller = asksForSecrets(rule, call.request)
          ? requireRole(identity, rule.secrets, `${method} with show_secrets`)
          : requireRole(identity, rule.role, method);
      checkSizes(call.request);
      if (trail?.changes === true) await begun(trail, method);
      const signal = AbortSignal.any([gone.signal, stopping]);
      const value = await work({ caller, from, signal, note: (fields) => Object.assign(noted, fields) });
      if (trail?.changes === true) await endTrailIfPossible(status.OK, "");
      else await endTrail(status.OK, "");
      finish(status.OK, "");
      return { value };
    } catch (error) {
      const known = asRpcError(error);
      await endTrailIfPossible(known?.code ?? status.INTERNAL, known?.message ?? "a bug in bmc-service");
      if (known === undefined) {
        finish(status.INTERNAL, "", { bug: error });
        const details = `${service}/${method}: a bug in bmc-service; its log says more`;
        return { error: { code: status.INTERNAL, details } };
      }
      finish(known.code, known.message, known);
      return { error: { code: known.code, details: known.message } };
    } finally {
      wipeSecrets(call.request);
    }
  }
}

/**
 * Whose refusals are counted together: a flood of strangers must not hide those of agents, nor these those of people. There are
 * few people, and each has the lines of their own.
 */
function whoIs(identity: Identity | undefined): string {
  if (identity === undefined || identity.credential === "none") return "strangers";
  const role = roleOf(identity);
  return role === undefined || role === "agent" ? "agents" : `${role} ${identity.commonName}`;
}

/** @throws RpcError if the change cannot be written down: then it is not made */
async function begun(trail: AuditTrail, method: string): Promise<void> {
  try {
    await trail.begin();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const details = `${method} was not done, because it cannot be written to the audit log: ${error.message}`;
    throw new RpcError(status.UNAVAILABLE, details, { cause: error });
  }
}

function asksForSecrets(rule: Rule, request: unknown): rule is Rule & Required<Pick<Rule, "secrets">> {
  const asked = typeof request === "object" && request !== null && "showSecrets" in request && request.showSecrets;
  return rule.secrets !== undefined && asked === true;
}

/** Resolves when the stream takes more: a slow reader slows the writer down and does not fill the memory. */
async function written<P>(call: ServerWritableStream<unknown, P>, value: P, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (call.write(value)) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const aborted = () => reject(signal.reason);
  call.once("drain", resolve);
  signal.addEventListener("abort", aborted, { once: true });
  try {
    await promise;
  } finally {
    call.removeListener("drain", resolve);
    signal.removeEventListener("abort", aborted);
  }
}
