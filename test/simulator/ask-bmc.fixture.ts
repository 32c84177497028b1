import type { Command } from "../../ipmi/command.ts";
import * as c from "../../ipmi/commands/index.ts";
import { Secret } from "../../ipmi/secret.ts";
import type { Arrival } from "./commands/handler.ts";
import type { Profile } from "./profile.ts";
import { spec } from "./profiles.ts";
import { createBmc, type SimulatedBmc, type SimulatedBmcOptions } from "./simulated-bmc.ts";

export const good = "Good-Pass-w0rd17";

/** A BMC that differs from the specification's in the parts that are given. */
export function bmcWith(
  parts: { [K in keyof Profile]?: Partial<Profile[K]> },
  options?: SimulatedBmcOptions,
): SimulatedBmc {
  const profile: Record<string, unknown> = { ...spec };
  for (const [name, part] of Object.entries(parts)) {
    profile[name] = { ...(spec[name as keyof Profile] as object), ...(part as object) };
  }
  return createBmc(profile as unknown as Profile, options);
}

export const inBand: Arrival = { nowMs: 0, from: "in-band" };
export const lan = (privilege: number): Arrival => ({ nowMs: 0, from: { channel: 1, privilege } });

/** Executes one command at a time of milliseconds: its completion code, "silence", or the response after 00h. */
export function ask<Q, P>(
  bmc: SimulatedBmc,
  command: Command<Q, P>,
  request: NoInfer<Q>,
  arrival: Arrival | number = inBand,
) {
  return raw(bmc, command, command.encodeRequest(request), arrival);
}

export function raw<Q, P>(
  bmc: SimulatedBmc,
  command: Command<Q, P>,
  data: Uint8Array,
  arrival: Arrival | number = inBand,
) {
  const { netFn, cmd } = command;
  const at = typeof arrival === "number" ? { ...inBand, nowMs: arrival } : arrival;
  const reply = bmc.handle({ netFn, lun: 0, cmd, data }, at);
  if (reply === undefined) return "silence";
  return reply.completionCode === 0 ? command.decodeResponse(reply.data) : reply.completionCode;
}

export const name = (userId: number, userName: string) => ({ userId, userName });
export const readName = (bmc: SimulatedBmc, userId: number) => ask(bmc, c.getUserName, { userId });

/** Without a size the form without a password. */
export function password(
  bmc: SimulatedBmc,
  operation: "set" | "test" | "enable" | "disable",
  size: 16 | 20 | undefined = 16,
  text = good,
  nowMs = 0,
) {
  const request = { user: { twentyBytes: size === 20, id: 3 }, action: { operation } };
  return ask(bmc, c.setUserPassword, { ...request, password: Secret.password(text, size) }, nowMs);
}

export function access(bmc: SimulatedBmc, userId = 3, more: { sessionLimit?: number; privilegeLimit?: number } = {}) {
  const bits = { changeBits: true, callbackOnly: false, linkAuthentication: false, ipmiMessaging: true };
  const request = { access: { ...bits, channelNumber: 1 }, userId, privilegeLimit: 4, sessionLimit: 0, ...more };
  return ask(bmc, c.setUserAccess, request);
}

/** Makes user 3 ready to log in. */
export function account(bmc: SimulatedBmc): unknown[] {
  return [ask(bmc, c.setUserName, name(3, "rivet1")), password(bmc, "set"), access(bmc), password(bmc, "enable")];
}

export const done = [{}, {}, {}, {}];
export const textBytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
