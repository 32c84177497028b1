import type { Conversation } from "../inband/conversation.ts";
import type { KnownBmc } from "../inband/recognise-bmc.ts";
import { lookAtBmc, type SeenBmc } from "./look-at-bmc.ts";
import type { ReadyBmc } from "./open-bmc-beside.ts";
import type { Step } from "./step.ts";
import type { World } from "./world.ts";

/** All that is said to a BMC goes by what was learnt of it before. */
export function talkTo({ transport, pace }: ReadyBmc, { clock }: World, signal: AbortSignal): Conversation {
  return { transport, clock, signal, pace };
}

/**
 * The step in which the BMC is looked at.
 * @param known what the service knows of it, if that is to be kept
 * @param seen what was seen of it before: then it is only recognised, not read again
 * @throws StepError
 */
export function inspectReadyBmc(
  world: World,
  step: Step,
  bmc: ReadyBmc,
  known: KnownBmc | undefined,
  seen?: SeenBmc,
): Promise<SeenBmc> {
  const { refused, transport, device } = bmc;
  const options = { refused, latencies: () => transport.latencies, note: world.note, seen };
  const look = (signal: AbortSignal) => lookAtBmc(talkTo(bmc, world, signal), device, known, options);
  return step("inspect BMC", world.settings.limits.inspectMs, look, seenText);
}

function seenText({ facts, address, recognised }: SeenBmc): string {
  if (facts.mac === "") return "no LAN channel";
  // For IPv6 addresses a known BMC is not asked.
  const none = recognised === undefined ? "no address" : "no IPv4 address";
  const at = address === "" ? none : address;
  return `${facts.mac}, ${at}, channel ${facts.channel}${recognised === undefined ? "" : ", known"}`;
}
