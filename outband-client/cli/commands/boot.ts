import { Argument, type Command } from "commander";
import { BootTarget, type BootTargetResponse } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import { exitCodeHelp, UsageError } from "../failure.ts";
import { parseBmcMac } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

const targets = {
  none: BootTarget.BOOT_TARGET_NONE,
  pxe: BootTarget.BOOT_TARGET_PXE,
  disk: BootTarget.BOOT_TARGET_DISK,
  bios: BootTarget.BOOT_TARGET_BIOS,
  cdrom: BootTarget.BOOT_TARGET_CDROM,
} as const;

type Target = keyof typeof targets;

interface Options {
  readonly persistent?: true;
  readonly efi?: true;
}

// The service logs in to the BMC first, and slow BMCs take several seconds for that and as many for each option.
const limitMs = 60_000;

/** `bmcctl boot MAC TARGET`: reads or changes what a machine boots from. */
export function addBoot(program: Command, world: World): void {
  program
    .command("boot")
    .description("read or change what a machine boots from, through its BMC")
    .argument("<mac>", "MAC address of the BMC")
    .addArgument(new Argument("<target>", "what to boot from").choices(["status", ...Object.keys(targets)]))
    .option("--persistent", "for every boot from now on, not for the next one alone")
    .option("--efi", "boot by UEFI, where the firmware can do both")
    .addHelpText(
      "after",
      `
  status  read what was asked for
  none    nothing was asked for: the firmware's own order
  pxe     the network
  disk    the first disk
  bios    the firmware's setup
  cdrom   CD or DVD

It holds for the next boot alone unless --persistent is given. The machine is not restarted: "bmcctl power MAC cycle" does that.
What is shown was read back from the BMC. A BMC that has used it for a boot tells "none" afterwards.

Examples:
  bmcctl boot 92:33:b8:0e:df:8f pxe && bmcctl power 92:33:b8:0e:df:8f cycle
  bmcctl boot 92:33:b8:0e:df:8f disk --persistent --efi
  bmcctl boot 92:33:b8:0e:df:8f status --output json | jq -r .target
${exitCodeHelp}`,
    )
    .action(async (text: string, wanted: Target | "status", options: Options, command: Command) => {
      const mac = parseBmcMac(text);
      const { persistent = false, efi = false } = options;
      if ((persistent || efi) && (wanted === "status" || wanted === "none")) {
        throw new UsageError(`--persistent and --efi say how to boot: they have no meaning with "${wanted}"`);
      }
      await using session = openSession(world, command, { limitMs });
      const answer =
        wanted === "status"
          ? await session.client.getBootTarget({ mac }, world.interrupt)
          : await session.client.setBootTarget({ mac, target: targets[wanted], persistent, efi }, world.interrupt);
      const target = nameOf(answer.target);
      const servedBy = printable(answer.servedBy);
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => ({
            mac,
            target,
            persistent: answer.persistent,
            efi: answer.efi,
            ...(servedBy === "" ? {} : { served_by: servedBy }),
          }),
          asTable: () =>
            table(["MAC", "BOOTS FROM", "FOR", "BY", "SERVED BY"], [[mac, target, ...howLong(answer), servedBy]]),
        }),
      );
    });
}

function nameOf(target: BootTarget): string {
  const known = Object.entries(targets).find(([, value]) => value === target);
  // A BMC may know targets that have no name here: a virtual floppy, a diagnostic partition.
  return known === undefined ? "other" : known[0];
}

function howLong({ target, persistent, efi }: BootTargetResponse): readonly [whichBoot: string, firmware: string] {
  if (target === BootTarget.BOOT_TARGET_NONE) return ["", ""];
  return [persistent ? "every boot" : "next boot", efi ? "UEFI" : "BIOS"];
}
