import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { machineNamespace } from "../../inband/derive-machine.ts";
import { uuidVersion5 } from "../../inband/smbios/uuid-version-5.ts";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { differences, makeUpTruth } from "../lab/truth.ts";
import { accountsOf, type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** What the firmware of each machine tells as its UUID. */
const bogus = {
  ami: "03000200-0400-0500-0006-000700080009",
  zero: "00000000-0000-0000-0000-000000000000",
} as const;
type Name = keyof typeof bogus;

interface Seen {
  readonly boots: readonly Boot[];
  readonly row: Bmc;
  readonly accounts: number;
}

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let seen: Readonly<Record<Name, Seen>>;

beforeAll(async () => {
  const truth = (uuid: string) => ({ truth: { ...makeUpTruth(), uuid } });
  site = stack.use(await openSite({ ami: truth(bogus.ami), zero: truth(bogus.zero) }));
  const bootTwice = async (name: Name): Promise<Seen> => {
    const { bmcMac } = site.machines[name].truth;
    const first = await boot(site, name);
    const row = await rowOf(site, bmcMac);
    const second = await boot(site, name);
    return { boots: [first, second], row, accounts: (await accountsOf(site, bmcMac)).length };
  };
  const [ami, zero] = await Promise.all([bootTwice("ami"), bootTwice("zero")]);
  seen = { ami, zero };
});
afterAll(() => stack.disposeAsync());

describe.each(["ami", "zero"] as const)("firmware that tells a filler as UUID (%s)", (name) => {
  test("the first boot links the machine, and says which UUID is refused and which one is used", () => {
    const [first] = seen[name].boots;
    expect([first?.outcome, first?.exitCode], first?.text).toEqual(["linked", 0]);
    const said = first?.told.map((each) => ("text" in each ? each.text : "")).join("\n");
    expect(said).toContain(`Refused: the system UUID ${bogus[name]} is a filler`);
    expect(said).toContain(`Used instead: ${seen[name].row.machineUuid}`);
  });

  test("the row has the UUID that is derived from board and BMC, marked, and all else as it was told", () => {
    const { truth } = site.machines[name];
    const uuid = uuidVersion5(machineNamespace, `${truth.smbios[2].serial}/${truth.bmcMac}`);
    expect(seen[name].row.state).toBe(State.STATE_LINKED);
    expect(seen[name].row.machine).toMatchObject({ uuidDerived: true, firmwareUuid: bogus[name] });
    expect(differences({ ...truth, uuid }, seen[name].row)).toEqual([]);
  });

  test("the second boot recognises it, and writes nothing", () => {
    const [, second] = seen[name].boots;
    expect([second?.outcome, second?.exitCode], second?.text).toEqual(["recognised", 0]);
    expect(writesAmong(second?.commands ?? [])).toEqual([]);
    expect(seen[name].accounts).toBe(1);
  });
});
