import type { Command } from "commander";
import type { Bmc } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { printable } from "../../service/printable.ts";
import { bmcDocument, stateName } from "../document.ts";
import { exitCodeHelp, UsageError } from "../failure.ts";
import { parseKey } from "../key.ts";
import { rendered, table } from "../output.ts";
import { readPassword } from "../password-file.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

// The service logs in to the BMC, and again while it does not answer: up to two minutes, and it may have to wait for its turn.
const limitMs = 180_000;

interface Options {
  readonly user?: string;
  readonly passwordFile?: string;
  readonly address?: string;
  readonly drivers?: string;
}

/** `bmcctl update KEY`: gives the service an account of the BMC, or another order of the drivers. */
export function addUpdate(program: Command, world: World): void {
  program
    .command("update")
    .description("give the service an account that you made on a BMC, or change the order of the drivers")
    .argument("<key>", "MAC address of the BMC; for one that tells nothing to its machine, UUID of that machine")
    .option("--user <name>", "user name of the account, 1 to 16 characters")
    .option("--password-file <file>", 'file with its password, at most 20 characters; "-" reads standard input')
    .option("--address <host>", "where the BMC is, HOST or HOST:PORT, if it does not tell that itself; with --user")
    .option("--drivers <names>", "drivers in the order in which they are tried, separated by commas")
    .addHelpText(
      "after",
      `
For a BMC that does not let its own machine make an account (state "locked"): make an administrator account on it and name it
here. The service logs in with it from remote and compares MAC address, GUID and privilege. Only if all hold, it keeps the
account, and the row is "linked"; else it says why, and nothing is changed. No agent ever changes an account given so.
Where the BMC tells its machine not even its MAC address, name the machine's UUID and the BMC's --address: the service reads the
MAC address there. An address given so counts until the BMC tells a new one itself.
The password is never an argument, and shown nowhere unless "describe --show-secrets" asks for it.

Examples:
  bmcctl update 92:33:b8:0e:df:8f --user admin --password-file ./password
  pass show bmc/rack7-12 | bmcctl update 92:33:b8:0e:df:8f --user admin --password-file -
  bmcctl update 37c43c25-69fe-4f88-b69d-4e71dc4070d0 --user admin --password-file ./password --address 10.0.0.8
  bmcctl update 92:33:b8:0e:df:8f --drivers IPMI
${exitCodeHelp}`,
    )
    .action(async (text: string, { user, passwordFile, address, drivers }: Options, command: Command) => {
      const key = parseKey(text);
      const names = drivers === undefined ? [] : parseDrivers(drivers);
      const login = loginOf(user, passwordFile);
      if (login === undefined && drivers === undefined) {
        throw new UsageError("nothing to update: give --user with --password-file, or --drivers");
      }
      if (address !== undefined && (login === undefined || address === "")) {
        throw new UsageError("--address: give HOST or HOST:PORT, together with --user and --password-file");
      }
      await using session = openSession(world, command, { limitMs });
      const password = login && (await readPassword(login.passwordFile, world));
      try {
        const account = login && password && { userName: login.userName, password };
        const request = { mac: key, drivers: names, account, address: address ?? "" };
        const { bmc } = await session.client.updateBmc(request, world.interrupt);
        if (bmc === undefined) throw new Error(`the service answered without a row for ${key}`);
        world.stdout.write(rendered(session.output, { asDocument: () => bmcDocument(bmc), asTable: () => rowOf(bmc) }));
      } finally {
        password?.fill(0);
      }
    });
}

function loginOf(userName: string | undefined, passwordFile: string | undefined) {
  if (userName === undefined && passwordFile === undefined) return undefined;
  if (userName === undefined) throw new UsageError("--password-file needs --user: whose password is it?");
  if (passwordFile === undefined) throw new UsageError("--user needs --password-file: the file with the password");
  if (!/^[\x20-\x7e]{1,16}$/.test(userName)) throw new UsageError("--user: give 1 to 16 characters of printable ASCII");
  return { userName, passwordFile };
}

function parseDrivers(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new UsageError('--drivers: give names separated by commas, for example "Redfish,IPMI"');
  return names;
}

function rowOf(row: Bmc): string {
  const cells = [row.mac, stateName(row.state) ?? "", row.account?.userName ?? "", row.drivers.join(", ")];
  return table(["MAC", "STATE", "USER", "DRIVERS"], [cells.map(printable)]);
}
