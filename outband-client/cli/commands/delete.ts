import type { Command } from "commander";
import { printable } from "../../service/printable.ts";
import { exitCodeHelp } from "../failure.ts";
import { parseKey } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

/** `bmcctl delete KEY`: makes the service forget a row. */
export function addDelete(program: Command, world: World): void {
  program
    .command("delete")
    .description("forget a BMC or machine with its accounts; the BMC itself is not touched")
    .argument("<mac|uuid>", "MAC address of the BMC, or UUID of a machine without BMC")
    .addHelpText(
      "after",
      `
For a part that is gone: a board or BMC that was replaced, or moved to another machine. The service forgets the passwords too:
look at them before ("describe --show-secrets") if the account is still on the BMC. What happened stays in the
service's history, which gRPC serves (ListHistory).
A machine that is still there comes back with its next boot. It needs the role admin.

Examples:
  bmcctl --role admin delete 92:33:b8:0e:df:8f
  bmcctl --role admin delete 37c43c25-69fe-4f88-b69d-4e71dc4070d0
${exitCodeHelp}`,
    )
    .action(async (text: string, _options: unknown, command: Command) => {
      const key = parseKey(text);
      await using session = openSession(world, command);
      await session.client.deleteBmc({ key }, world.interrupt);
      const document = { deleted: key };
      world.stdout.write(
        rendered(session.output, { asDocument: () => document, asTable: () => table(["DELETED"], [[printable(key)]]) }),
      );
    });
}
