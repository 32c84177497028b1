import { Argument, type Command, InvalidArgumentError } from "commander";
import { IdentifyLed } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { IdentifyLedResponse } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import { exitCodeHelp, UsageError } from "../failure.ts";
import { parseBmcMac } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

type Verb = "status" | "on" | "off";

/** Chassis Identify has a byte for it. IPMI 2.0 §28.5. */
const mostSeconds = 255;

// The service logs in to the BMC first, and slow BMCs take several seconds for that and as many for the change.
const limitMs = 60_000;

/** `bmcctl led MAC VERB`: reads or switches the light that shows where a machine stands. */
export function addLed(program: Command, world: World): void {
  program
    .command("led")
    .description("read or switch the identify light of a machine through its BMC")
    .argument("<mac>", "MAC address of the BMC")
    .addArgument(new Argument("<action>", "what to do").choices(["status", "on", "off"]))
    .option("--seconds <number>", `on for so long only, 1 to ${mostSeconds}`, parseSeconds)
    .addHelpText(
      "after",
      `
The light tells a person at the rack which machine is meant. Some BMCs only switch it on for some seconds: use --seconds there.
The state shown was read back from the BMC: "on", "timed" (on for some seconds), "off", or "unknown" if the BMC does not tell.

Examples:
  bmcctl led 92:33:b8:0e:df:8f on
  bmcctl led 92:33:b8:0e:df:8f on --seconds 60
  bmcctl led 92:33:b8:0e:df:8f status --output json | jq -r .led
${exitCodeHelp}`,
    )
    .action(async (text: string, verb: Verb, { seconds }: { seconds?: number }, command: Command) => {
      const mac = parseBmcMac(text);
      if (seconds !== undefined && verb !== "on") throw new UsageError(`--seconds has no meaning with "${verb}"`);
      await using session = openSession(world, command, { limitMs });
      const answer = await act(mac, verb);
      const led = nameOf(answer.state);
      const servedBy = printable(answer.servedBy);
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => ({ mac, action: verb, led, ...(servedBy === "" ? {} : { served_by: servedBy }) }),
          asTable: () => table(["MAC", "LED", "SERVED BY"], [[mac, led, servedBy]]),
        }),
      );

      function act(of: string, what: Verb): Promise<IdentifyLedResponse> {
        if (what === "status") return session.client.getIdentifyLed({ mac: of }, world.interrupt);
        return session.client.setIdentifyLed({ mac: of, ...stateFor(what, seconds) }, world.interrupt);
      }
    });
}

function stateFor(verb: "on" | "off", seconds: number | undefined): { state: IdentifyLed; seconds: number } {
  if (verb === "off") return { state: IdentifyLed.IDENTIFY_LED_OFF, seconds: 0 };
  if (seconds === undefined) return { state: IdentifyLed.IDENTIFY_LED_ON, seconds: 0 };
  return { state: IdentifyLed.IDENTIFY_LED_TIMED, seconds };
}

function nameOf(state: IdentifyLed): "on" | "off" | "timed" | "unknown" {
  switch (state) {
    case IdentifyLed.IDENTIFY_LED_ON:
      return "on";
    case IdentifyLed.IDENTIFY_LED_OFF:
      return "off";
    case IdentifyLed.IDENTIFY_LED_TIMED:
      return "timed";
    // Also what a newer service may tell.
    default:
      return "unknown";
  }
}

function parseSeconds(text: string): number {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > mostSeconds) throw new InvalidArgumentError(`Give a number from 1 to ${mostSeconds}.`);
  return seconds;
}
