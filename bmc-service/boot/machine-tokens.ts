import { isBogusUuid } from "../../ipmi/guid.ts";
import { NoTokenError, type TokenMaker } from "./token-client.ts";

/** For whom a token is wanted. */
export interface TokenFor {
  /** MAC address, or the address of a machine that tells no other: stands in the service's list and audit log. */
  readonly who: string;
  /** SMBIOS UUID as the boot loader tells it: the token is good for that machine only. Undefined: it does not tell. */
  readonly machineUuid: string | undefined;
}

/** A token to hand out. */
export interface HandedToken {
  readonly id: string;
  /** Secret until it is used. */
  readonly text: string;
  /** Whether it was made now; else it was handed out before and nobody has used it. */
  readonly isNew: boolean;
}

export interface MachineTokensOptions {
  readonly maker: TokenMaker;
  readonly ttlSeconds: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/**
 * So long the service is not asked whether a token is still unused, ms: no machine boots, enrols and asks again within that, and
 * each question leaves entries in the audit log.
 */
const unaskedMs = 5_000;

/** Machines whose token is remembered; the one that asked least recently is forgotten first. */
const mostRemembered = 10_000;

/**
 * One token for each machine that boots. Firmware, boot loaders and pixiecore ask some five times for one boot: while the token is
 * unused and has half of its time left they all get the same one, and a later one takes its place.
 */
export class MachineTokens {
  readonly #options: MachineTokensOptions;
  readonly #now: () => number;
  /** By machine, in the order of their use; with when the service was asked. */
  readonly #handed = new Map<string, { readonly token: Promise<HandedToken>; readonly askedAt: number }>();

  constructor(options: MachineTokensOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Rejects with NoTokenError. */
  async forMachine(wanted: TokenFor): Promise<HandedToken> {
    const key = `${wanted.who} ${wanted.machineUuid ?? ""}`;
    const askedAt = this.#now();
    const before = this.#handed.get(key);
    if (before !== undefined && askedAt - before.askedAt < unaskedMs) return { ...(await before.token), isNew: false };
    // Kept before it is there, so that two questions at once do not make two tokens.
    const handed = { token: this.#next(wanted, before?.token), askedAt };
    this.#handed.delete(key);
    this.#handed.set(key, handed);
    handed.token.catch(() => {
      if (this.#handed.get(key) === handed) this.#handed.delete(key);
    });
    if (this.#handed.size > mostRemembered) this.#handed.delete(this.#handed.keys().next().value ?? "");
    return handed.token;
  }

  /** For somebody who asks once, and may share an address with others. Rejects with NoTokenError. */
  another(wanted: TokenFor): Promise<HandedToken> {
    return this.#next(wanted, undefined);
  }

  async #next({ who, machineUuid }: TokenFor, before: Promise<HandedToken> | undefined): Promise<HandedToken> {
    const former = await before?.catch(() => undefined);
    // Many machines have such a UUID, and the agent goes by another one.
    const isOwn = machineUuid !== undefined && !isBogusUuid(machineUuid);
    const { text, token } = await this.#options.maker.create({
      machineUuid: isOwn ? machineUuid : "",
      ttlSeconds: this.#options.ttlSeconds,
      uses: 1,
      purpose: who,
      former: former?.id,
    });
    if (former !== undefined && token?.id === former.id) return { ...former, isNew: false };
    if (token === undefined || text.length === 0) throw new NoTokenError("the BMC service answered without a token");
    const made = { id: token.id, text: text.toString("latin1"), isNew: true };
    text.fill(0);
    return made;
  }
}
