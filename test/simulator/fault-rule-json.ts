import { allCommands } from "../../ipmi/commands/index.ts";
import type { FaultEffect, FaultRule } from "./fault-rule.ts";

/** The text of fault rules is not what it is to be. */
export class FaultRuleError extends Error {
  override readonly name = "FaultRuleError";

  /** @param where "rule 2, effect 1: delayMs" */
  constructor(where: string, problem: string, options?: ErrorOptions) {
    super(`fault rules: ${where === "" ? "" : `${where}: `}${problem}`, options);
  }
}

/**
 * Reads fault rules from JSON: a list of what fault-rule.ts declares. Numbers may be texts with 0x, and `command` may name a
 * command as the specification spells it, instead of `netFn` and `cmd`.
 * @throws FaultRuleError saying which rule and what is wrong with it
 */
export function parseFaultRules(text: string): FaultRule[] {
  let rules: unknown;
  try {
    rules = JSON.parse(text);
  } catch (error) {
    throw new FaultRuleError("", "it is no JSON", { cause: error });
  }
  if (!Array.isArray(rules)) throw new FaultRuleError("", "it is no list");
  return rules.map((rule: unknown, i) => parseRule(rule, `rule ${i + 1}`));
}

function parseRule(given: unknown, where: string): FaultRule {
  const { command, effects, ...rest } = object(given, where);
  if (!Array.isArray(effects) || effects.length === 0) {
    throw new FaultRuleError(`${where}: effects`, "it is no list of at least one effect");
  }
  const named = command === undefined ? {} : commandOf(command, rest, `${where}: command`);
  const parsed = effects.map((effect: unknown, i) => parse(effect, effectFields, `${where}, effect ${i + 1}`));
  return { ...named, ...parse<Omit<FaultRule, "effects">>(rest, ruleFields, where), effects: parsed as FaultEffect[] };
}

function commandOf(name: unknown, rest: Readonly<Record<string, unknown>>, where: string) {
  if ("netFn" in rest || "cmd" in rest) throw new FaultRuleError(where, "it stands beside netFn or cmd");
  const found = allCommands.find((each) => each.name === name);
  if (found !== undefined) return { netFn: found.netFn, cmd: found.cmd };
  const names = allCommands.map((each) => `"${each.name}"`).join(", ");
  throw new FaultRuleError(where, `${JSON.stringify(name)} is none of ${names}`);
}

type Check = (value: unknown, where: string) => unknown;

/** Whole numbers, also as "0x45". */
function whole(from: number, to: number): Check {
  return (value, where) => {
    const number = typeof value === "string" && /^0x[0-9a-f]+$/i.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isInteger(number) && number >= from && number <= to) return number;
    throw new FaultRuleError(where, `${JSON.stringify(value)} is no whole number from ${from} to ${to}`);
  };
}

function oneOf(...allowed: readonly (string | boolean)[]): Check {
  return (value, where) => {
    if (allowed.some((each) => each === value)) return value;
    const list = allowed.map((each) => JSON.stringify(each)).join(", ");
    throw new FaultRuleError(where, `${JSON.stringify(value)} is not ${list}`);
  };
}

const times = whole(1, 1_000_000);
const milliseconds = whole(0, 3_600_000);

const ruleFields: Readonly<Record<keyof Omit<FaultRule, "effects">, Check>> = {
  netFn: whole(0, 0x3e),
  cmd: whole(0, 0xff),
  operation: oneOf("disable", "enable", "set", "test"),
  channel: whole(0, 15),
  user: whole(0, 63),
  via: oneOf("in-band", "lan"),
  from: times,
  count: (value, where) => (value === "always" ? value : times(value, where)),
};

const effectFields: Readonly<Record<keyof FaultEffect, Check>> = {
  completionCode: whole(0, 0xff),
  execute: oneOf("yes", "no", "pretend"),
  delayMs: milliseconds,
  drop: oneOf("request", "reply"),
  late: oneOf(true),
  duplicate: oneOf(true),
  truncate: whole(0, 270),
  tooLong: whole(1, 1_000),
  otherCommand: whole(0, 0xff),
  resetMs: milliseconds,
};

function parse<T>(given: unknown, fields: Readonly<Record<string, Check>>, where: string): T {
  const parsed = Object.entries(object(given, where)).map(([name, value]) => {
    const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (check !== undefined) return [name, check(value, `${where}: ${name}`)];
    throw new FaultRuleError(where, `"${name}" is none of ${Object.keys(fields).join(", ")}`);
  });
  return Object.fromEntries(parsed) as T;
}

function object(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new FaultRuleError(where, "it is no object");
}
