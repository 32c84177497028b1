import { setUserPassword } from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";
import type { Arrival } from "./commands/handler.ts";
import type { FaultEffect, FaultRule } from "./fault-rule.ts";

/** Fault rules with the count of what they have met. Deterministic: the same messages meet the same effects. */
export class FaultRules {
  readonly #rules: readonly { readonly rule: FaultRule; met: number }[];

  constructor(rules: readonly FaultRule[]) {
    this.#rules = rules.map((rule) => ({ rule, met: 0 }));
  }

  /** What goes wrong with this message: the effect of the first rule that has one. Every rule that matches counts it. */
  effectOn(message: Message, arrival: Arrival): FaultEffect | undefined {
    let found: FaultEffect | undefined;
    for (const each of this.#rules) {
      if (!matches(each.rule, message, arrival)) continue;
      each.met += 1;
      const { from = 1, effects, count = effects.length } = each.rule;
      const index = each.met - from;
      if (index < 0 || (count !== "always" && index >= count)) continue;
      found ??= effects[index % effects.length];
    }
    return found;
  }
}

function matches(rule: FaultRule, message: Message, { from }: Arrival): boolean {
  const { user, channel, operation } = addressed(message);
  const via = from === "in-band" ? from : "lan";
  return (
    (rule.via ?? via) === via &&
    (rule.netFn ?? message.netFn) === message.netFn &&
    (rule.cmd ?? message.cmd) === message.cmd &&
    (rule.user === undefined || rule.user === user) &&
    (rule.channel === undefined || rule.channel === channel) &&
    (rule.operation === undefined || rule.operation === operation)
  );
}

/** Where the commands name a channel and a user ID: which byte, and its bits. */
const places: ReadonlyMap<string, { readonly channel?: number; readonly user?: number }> = new Map([
  ["6/64", { channel: 0 }],
  ["6/65", { channel: 0 }],
  ["6/66", { channel: 0 }],
  ["6/67", { channel: 0, user: 1 }],
  ["6/68", { channel: 0, user: 1 }],
  ["6/69", { user: 0 }],
  ["6/70", { user: 0 }],
  ["6/71", { user: 0 }],
  ["6/76", { channel: 0, user: 1 }],
  ["6/56", { channel: 0 }],
  ["6/84", { channel: 0 }],
  ["12/1", { channel: 0 }],
  ["12/2", { channel: 0 }],
]);

const operations = ["disable", "enable", "set", "test"] as const;

/** What a request is about, told from its bytes, so that a malformed one can be met too. */
function addressed({ netFn, cmd, data }: Message): {
  readonly channel?: number | undefined;
  readonly user?: number | undefined;
  readonly operation?: (typeof operations)[number] | undefined;
} {
  const { channel, user } = places.get(`${netFn}/${cmd}`) ?? {};
  const isPassword = netFn === setUserPassword.netFn && cmd === setUserPassword.cmd;
  return {
    channel: channel === undefined ? undefined : (data[channel] ?? 0) & 0x0f,
    user: user === undefined ? undefined : (data[user] ?? 0) & 0x3f,
    operation: isPassword ? operations[(data[1] ?? 0) & 0x03] : undefined,
  };
}
