import type { Command } from "commander";
import { bmcDocument } from "../document.ts";
import { exitCodeHelp } from "../failure.ts";
import { parseKey } from "../key.ts";
import { pairs, rendered } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

/** `bmcctl describe KEY`: all that the service knows of one row. */
export function addDescribe(program: Command, world: World): void {
  program
    .command("describe")
    .description("show all that is known of one BMC or machine")
    .argument("<mac|uuid>", "MAC address of the BMC, or UUID of its machine")
    .option("--show-secrets", "show the password of the account")
    .addHelpText(
      "after",
      `
The output is YAML unless --output says otherwise. What is unknown is left out. Times are UTC.
"machine_id_derived": the machine's firmware tells no UUID of its own, so the agent made this one of board and BMC.
"site": the place that the agent's configuration names; it was told when the machine booted last.

Examples:
  bmcctl describe 92:33:b8:0e:df:8f
  bmcctl describe 92-33-B8-0E-DF-8F --show-secrets
  bmcctl describe 37c43c25-69fe-4f88-b69d-4e71dc4070d0 --output json
${exitCodeHelp}`,
    )
    .action(async (text: string, options: { showSecrets?: boolean }, command: Command) => {
      const key = parseKey(text);
      await using session = openSession(world, command, { output: "yaml" });
      const { showSecrets = false } = options;
      const { bmc } = await session.client.getBmc({ key, showSecrets }, world.interrupt);
      if (bmc === undefined) throw new Error(`the service answered without a row for ${key}`);
      const document = bmcDocument(bmc, { showSecrets });
      world.stdout.write(rendered(session.output, { asDocument: () => document, asTable: () => pairs(document) }));
    });
}
