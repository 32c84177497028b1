import { Command, InvalidArgumentError, Option } from "commander";
import { knownProfile } from "../simulator/known-profile.ts";
import type { Profile } from "../simulator/profile.ts";
import { mostMiniLabMachines } from "./mini-lab.ts";

/** What `npm run lab` was asked for. */
export interface LabOptions {
  readonly machines: number;
  readonly keep: boolean;
  /** False: the machines' kernels load no IPMI driver. */
  readonly ipmiDriver: boolean;
  /** The machines have no certificate; each gets an enrolment token. */
  readonly token: boolean;
  /** Wired like metal-stack's mini-lab, and booted from the network by the boot server. */
  readonly miniLab: boolean;
  /** One machine more, which has no BMC. */
  readonly withoutBmc: boolean;
  /** What the BMCs are like; without one they are ipmi_sim. */
  readonly profile?: Profile;
  readonly output: "text" | "json";
}

const help = `
What it does, in this order:
  1. builds dist/metal-rivet, dist/bmcctl, dist/bmc-service and a ramdisk, unless
     they are there already and come from these sources
  2. makes a throw-away PKI, starts one BMC per machine (OpenIPMI's ipmi_sim, or
     with --profile a simulated one that behaves like certain boards; see
     npm run sim -- --list) and bmc-service, all on 127.0.0.1 and free ports
  3. boots each machine (QEMU without KVM) from the ramdisk; the agent in it finds
     its BMC, makes an account and hands over
  4. compares the service's row with what machine and BMC were told
  5. shows bmcctl ls, and has the service power-cycle each machine over its BMC's
     LAN with the account that the agent made; the machine must recognise itself
  6. logs in with the same account by ipmitool

Examples:
  npm run lab
  npm run lab -- --machines 3
  npm run lab -- --no-ipmi-driver
  npm run lab -- --token
  npm run lab -- --profile hpe-ilo
  npm run lab -- --profile intel-oem   its BMC lets nobody in: that has to show
  npm run lab -- --mini-lab            as in metal-stack's mini-lab: two machines
                                       with UEFI that boot from the network
  npm run lab -- --mini-lab --without-bmc
                                       and a third one that has no BMC
  npm run lab -- --keep                stays up; says how to look around and stop
  npm run --silent lab -- --output json > result.json

Exit codes:
  0    all of it held
  64   wrong usage
  70   something did not hold or did not start: the last lines say what, and
       where the logs are
  130  Ctrl-C (nothing is left behind), 143 SIGTERM
`;

/** @throws CommanderError for --help and for wrong usage */
export function parseLabOptions(args: readonly string[]): LabOptions {
  const command = new Command("npm run lab --")
    .description("Runs the main job on this machine: boot, link, control from remote.")
    .addOption(
      new Option("--machines <N>", "how many machines, each with a BMC of its own (1; 2 in a mini-lab)").argParser(
        count,
      ),
    )
    .addOption(
      new Option("--mini-lab", "wire machines and BMCs like metal-stack's mini-lab, and boot from the network")
        .default(false)
        .conflicts(["profile", "token", "ipmiDriver"]),
    )
    .addOption(new Option("--without-bmc", "one machine more, which has no BMC").default(false))
    .addOption(new Option("--profile <NAME>", "what the BMCs are like, instead of ipmi_sim").argParser(knownProfile))
    .addOption(new Option("--keep", "leave everything running and say how to look around").default(false))
    .addOption(new Option("--no-ipmi-driver", "load no IPMI driver in the machines: raw KCS over /dev/port"))
    .addOption(
      new Option("--token", "give the machines enrolment tokens of their own instead of a certificate").default(false),
    )
    .addOption(
      new Option("--output <FORMAT>", "text, or one JSON document at the end (progress goes to standard error)")
        .choices(["text", "json"])
        .default("text"),
    )
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .exitOverride()
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const options = command.opts<Omit<LabOptions, "machines"> & { machines?: number }>();
  const { miniLab, withoutBmc, machines = miniLab ? 2 : 1 } = options;
  if (miniLab && machines + Number(withoutBmc) > mostMiniLabMachines) {
    command.error(`error: option '--mini-lab' has UUIDs for ${mostMiniLabMachines} machines at most`);
  }
  return { ...options, machines };
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 32) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 32.");
  }
  return value;
}
