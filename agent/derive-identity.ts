import { deriveMachine, UnreadableIdentityError } from "../inband/derive-machine.ts";
import { type MachineIdentity, refusedUuidText } from "../inband/smbios/identify-machine.ts";
import type { Smbios } from "../inband/smbios/parse-smbios.ts";
import { inspectReadyBmc } from "./inspect-ready-bmc.ts";
import type { SeenBmc } from "./look-at-bmc.ts";
import type { OpenedBmc } from "./open-bmc-beside.ts";
import { type Step, StepError } from "./step.ts";
import type { World } from "./world.ts";

/**
 * Who the machine is if its firmware does not tell: that takes the BMC, so it is read before the service is asked, and not
 * again afterwards.
 * @throws StepError: the cause is BogusUuidError if there is nothing to derive a UUID from, UnreadableIdentityError if there may be
 */
export async function deriveIdentity(
  world: World,
  step: Step,
  smbios: Smbios,
  bmc: OpenedBmc,
): Promise<{ readonly machine: MachineIdentity; readonly seen: SeenBmc | undefined }> {
  const seen = "tried" in bmc ? undefined : await inspectReadyBmc(world, step, bmc, undefined);
  try {
    const machine = deriveMachine(smbios, seen?.inspection);
    world.note(derivedText(machine));
    return { machine, seen };
  } catch (error) {
    // Nobody else will tell what the BMC was like.
    for (const finding of seen?.findings ?? []) world.note(finding);
    if (seen?.failure !== undefined) world.note(seen.failure.message);
    throw new StepError(error instanceof UnreadableIdentityError ? "inspect BMC" : "identify machine", error);
  }
}

/** Which UUID is used instead of which, and what it is made of; one sentence. */
export function derivedText({ uuid, smbios, derivedFrom }: MachineIdentity): string {
  const { boardSerial = "", mac = "" } = derivedFrom ?? {};
  const refused = smbios.system.uuid;
  const why = refused === undefined ? "The firmware tells no system UUID" : `Refused: ${refusedUuidText(refused)}`;
  return `${why}. Used instead: ${uuid}, derived from board serial number ${boardSerial} and BMC MAC address ${mac}.`;
}
