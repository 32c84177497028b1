import { Argument, type Command } from "commander";
import { PowerAction, type PowerResponse } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import { exitCodeHelp } from "../failure.ts";
import { parseBmcMac } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

const actions = {
  on: PowerAction.POWER_ACTION_ON,
  off: PowerAction.POWER_ACTION_OFF,
  cycle: PowerAction.POWER_ACTION_CYCLE,
  reset: PowerAction.POWER_ACTION_RESET,
} as const;

type Verb = keyof typeof actions | "status";

// The service logs in to the BMC first, and slow BMCs take several seconds for that and as many for the action.
const limitMs = 60_000;

/** `bmcctl power MAC VERB`: reads or changes the power state through the BMC. */
export function addPower(program: Command, world: World): void {
  program
    .command("power")
    .description("read or change the power of a machine through its BMC")
    .argument("<mac>", "MAC address of the BMC")
    .addArgument(new Argument("<action>", "what to do").choices(["status", ...Object.keys(actions)]))
    .addHelpText(
      "after",
      `
  status  read the power state
  on      power up
  off     power down at once: the operating system is not asked
  cycle   power down, wait, power up
  reset   hard reset

An action is sent once and never again. The state shown is the one read after the BMC accepted it; a BMC that takes its time
may still show the old one.

Examples:
  bmcctl power 92:33:b8:0e:df:8f status
  bmcctl power 92:33:b8:0e:df:8f cycle
  bmcctl power 92:33:b8:0e:df:8f status --output json | jq .power_on
${exitCodeHelp}`,
    )
    .action(async (text: string, verb: Verb, _options: unknown, command: Command) => {
      const mac = parseBmcMac(text);
      await using session = openSession(world, command, { limitMs });
      const answer = await act(mac, verb);
      const document = {
        mac,
        action: verb,
        power_on: answer.powerOn,
        ...(answer.servedBy ? { served_by: printable(answer.servedBy) } : {}),
      };
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => document,
          asTable: () =>
            table(["MAC", "POWER", "SERVED BY"], [[mac, answer.powerOn ? "on" : "off", printable(answer.servedBy)]]),
        }),
      );

      function act(of: string, what: Verb): Promise<PowerResponse> {
        if (what === "status") return session.client.getPower({ mac: of }, world.interrupt);
        return session.client.setPower({ mac: of, action: actions[what] }, world.interrupt);
      }
    });
}
