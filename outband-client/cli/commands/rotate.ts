import type { Command } from "commander";
import { printable } from "../../service/printable.ts";
import { bmcDocument, stateName } from "../document.ts";
import { exitCodeHelp } from "../failure.ts";
import { parseBmcMac } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

// Three logins, and a few more where the BMC refuses passwords; each waits for up to two minutes for a BMC that is silent.
const limitMs = 300_000;

/** `bmcctl rotate MAC`: has the service give its account on a BMC a new password. */
export function addRotate(program: Command, world: World): void {
  program
    .command("rotate")
    .description("give the service's account on a BMC a new password, from remote")
    .argument("<mac>", "MAC address of the BMC")
    .addHelpText(
      "after",
      `
The service logs in, stores a new random password, sets it, and logs in with it; MAC address and GUID have to be the same. Only
then the old password is retired. If the BMC takes no new password, the old one stays. Once begun, it is brought to its
end, also if this command is interrupted or the service is started again: "bmcctl describe" shows how it ended.
The machine may run meanwhile and notices nothing. An account that an operator gave ("bmcctl update --user") is the operator's:
it is refused. The password is shown nowhere unless "describe --show-secrets" asks for it.

Examples:
  bmcctl rotate 92:33:b8:0e:df:8f
  bmcctl ls --output json | jq -r '.[] | select(.state == "linked") | .mac' | xargs -n 1 bmcctl rotate
${exitCodeHelp}`,
    )
    .action(async (text: string, _options: unknown, command: Command) => {
      const mac = parseBmcMac(text);
      await using session = openSession(world, command, { limitMs });
      if (world.stderr.isTTY === true)
        world.stderr.write(`Giving BMC ${mac} a new password; this takes some seconds.\n`);
      const { bmc } = await session.client.rotateAccount({ mac }, world.interrupt);
      if (bmc === undefined) throw new Error(`the service answered without a row for ${mac}`);
      const cells = [bmc.mac, stateName(bmc.state) ?? "", bmc.account?.userName ?? "", "new"];
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => bmcDocument(bmc),
          asTable: () => table(["MAC", "STATE", "USER", "PASSWORD"], [cells.map(printable)]),
        }),
      );
    });
}
