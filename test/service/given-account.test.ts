import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newSite, startTestService } from "../../bmc-service/fixture/service.ts";
import { systemClock } from "../../inband/clock.ts";
import { run as bmcctl } from "../../outband-client/cli/fixture/run.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { Machine, machineUuid } from "../run/machine.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import { knownProfile } from "../simulator/known-profile.ts";
import { mainLan } from "../simulator/main-lan.ts";

/*
 * The real agent, service and operator's command around a simulated BMC that is locked in-band: what the machine
 * cannot do, an operator completes from remote.
 */

const password = "Gv7-canary.Wk2@mP";
let stack: AsyncDisposableStack;
let file: string;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "given-account-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  file = join(directory, "password");
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
});
afterEach(() => stack.disposeAsync());

async function site(profileName: string) {
  const { pki, data } = stack.use(await newSite());
  const bmc = { users: [{ id: 3, name: "rackadmin", password, privilege: 4 }] };
  const machine = new Machine({ profile: knownProfile(profileName), bmc });
  const { mac } = mainLan(machine.bmc.lans);
  const { port } = stack.use(await listenOnLan(machine.bmc));
  const addresses = new Map([[mac, { host: "127.0.0.1", port }]]);
  const service = await startTestService({ directory: data, pki, data, [Symbol.dispose]() {} }, connectLan, {
    addresses,
  });
  stack.use(service);
  const read = (name: string) => readFileSync(join(pki, name));
  const address = `127.0.0.1:${service.running.port}`;
  const pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key") };
  const connectService = async () => connectEnrolment({ address, ...pem });
  const boot = () => machine.boot({ clock: systemClock, world: { connectService } });
  const output: string[] = [];
  const operator = async (...args: string[]) => {
    const ran = await bmcctl(["--service", address, "--pki", pki, ...args]);
    output.push(ran.stdout, ran.stderr);
    return ran;
  };
  const described = async (key: string) => JSON.parse((await operator("describe", key, "--output", "json")).stdout);
  return { machine, mac, boot, operator, described, output, service };
}

describe.each(["openbmc-restricted", "intel-oem"])("a machine with %s", (profileName) => {
  test("is linked by the account of an operator, stays so at the next boot, and its power works", async () => {
    const { machine, mac, boot, operator, described, output, service } = await site(profileName);
    expect((await boot()).kind).toBe("locked");
    const locked = await described(mac);
    expect(locked).toMatchObject({ state: "locked", machine_id: machineUuid });
    expect(locked.state_reason).toContain(`bmcctl update ${mac} --user NAME --password-file FILE`);
    const users = JSON.stringify(machine.bmc.users);

    writeFileSync(file, "not-the-password\n");
    const refused = await operator("update", mac, "--user", "rackadmin", "--password-file", file);
    expect(refused).toMatchObject({ code: 77, stdout: "", stderr: expect.stringContaining("wrong password") });
    expect(await described(mac)).toEqual(locked);

    writeFileSync(file, `${password}\n`);
    const taken = await operator("update", mac, "--user", "rackadmin", "--password-file", file);
    expect(taken).toMatchObject({ code: 0, stderr: "" });
    expect(taken.stdout).toMatch(/linked +rackadmin/);
    expect(await described(mac)).toMatchObject({ state: "linked", ipmi: { user: "rackadmin", slot: 3 } });
    expect((await operator("power", mac, "off")).stdout).toMatch(/ off +IPMI/);

    expect((await boot()).kind).toBe("locked");
    expect(await described(mac)).toMatchObject({ state: "linked", ipmi: { user: "rackadmin" } });
    expect(JSON.stringify(machine.bmc.users)).toBe(users);
    expect([...output, ...service.log].filter((text) => text.includes(password))).toEqual([]);
  });
});

test("a BMC that tells nothing at all in-band leaves a row of its machine that says so", async () => {
  const { boot, described } = await site("dgx-h200-locked");
  expect((await boot()).kind).toBe("locked");
  const row = await described(machineUuid);
  expect(row).toMatchObject({ machine_id: machineUuid, state: "locked" });
  expect(row).not.toHaveProperty("mac");
  expect(row.state_reason).toContain("not even its MAC address");
});
