import { parseUuid } from "../../ipmi/guid.ts";
import { formatMac, parseMac } from "../../ipmi/mac.ts";
import type { AuditEntryRow, NewAuditEntry } from "./audit-log.ts";
import type { SampledRefusals } from "./sampled-refusals.ts";

/** Where entries go; each is on the disk when it resolves. Rejects with StoreError. */
export interface AuditLog {
  appendAudit(entry: NewAuditEntry): Promise<AuditEntryRow>;
}

/** One call that is written down. */
export interface AuditedCall {
  readonly actor: string;
  readonly role: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
  readonly from: string;
  /** Whether it changes something; else it looks at a secret. */
  readonly changes: boolean;
}

/** The most characters of a text in the log. */
const longest = 512;

/**
 * What one call leaves in the audit log.
 *
 * A change has two entries: BEGUN before it is made, and its result after. So none is made that is not in the log, and one whose
 * result is missing (the service died, the disk is full) may have been made. A look at a secret has one entry, written before the
 * answer goes out. What is refused before it began has one entry with the refusal, as long as its caller has not too many of them.
 */
export class AuditTrail {
  readonly #log: AuditLog;
  readonly #refusals: SampledRefusals;
  readonly #call: AuditedCall;
  #begun: number | undefined;

  constructor(log: AuditLog, refusals: SampledRefusals, call: AuditedCall) {
    this.#log = log;
    this.#refusals = refusals;
    this.#call = call;
  }

  get changes(): boolean {
    return this.#call.changes;
  }

  /** Says that the change is made now. Nothing is to be done if it rejects. */
  async begin(): Promise<void> {
    this.#begun = (await this.#append("BEGUN", this.#call.subject, this.#call.detail)).number;
  }

  /**
   * Says what came of the call.
   * @param problem why it was refused or failed; empty if it was not
   * @param subject what it turned out to be about; undefined: what was asked for
   * @returns the entry; undefined if the refusal is only counted
   */
  async end(result: string, problem: string, subject: string | undefined): Promise<AuditEntryRow | undefined> {
    if (result !== "OK" && this.#begun === undefined && !this.#refusals.takes(this.#call)) return undefined;
    const { detail } = this.#call;
    const begun = this.#begun === undefined ? "" : `begun as ${this.#begun}`;
    const parts = [detail, problem, begun].filter((part) => part !== "");
    return this.#append(result, subject ?? this.#call.subject, parts.join("; "));
  }

  #append(result: string, subject: string, detail: string): Promise<AuditEntryRow> {
    const { actor, role, action, from } = this.#call;
    const entry = { actor, role, action, from, subject, detail };
    const cut = Object.fromEntries(Object.entries(entry).map(([name, text]) => [name, shortened(text)]));
    return this.#log.appendAudit({ ...entry, ...cut, at: new Date(), result });
  }
}

/** What a request is about, in the form in which rows are named; empty if it names nothing. */
export function subjectOf(request: unknown): string {
  if (typeof request !== "object" || request === null) return "";
  const named = ["mac", "key", "id"].map((field) => (request as Readonly<Record<string, unknown>>)[field]);
  const text = named.find((value) => typeof value === "string");
  if (typeof text !== "string") return "";
  const mac = parseMac(text);
  if (mac !== undefined) return formatMac(mac);
  return parseUuid(text) === undefined ? text : text.toLowerCase();
}

/** Address of the peer as grpc-js tells it ("10.0.0.8:4711", "::1:4711"), without its port. */
export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "").replace(/^::ffff:(?=\d+\.)/, "");
}

function shortened(text: string): string {
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}
