import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { exitCodeOf } from "../../agent/outcome.ts";
import { newSite, startTestService } from "../../bmc-service/fixture/service.ts";
import { BmcNetworks, parseNetwork } from "../../bmc-service/reach/bmc-networks.ts";
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

async function site(profileName: string, { mapped = true } = {}) {
  const { pki, data } = stack.use(await newSite());
  const bmc = { users: [{ id: 3, name: "rackadmin", password, privilege: 4 }] };
  const machine = new Machine({ profile: knownProfile(profileName), bmc });
  const { mac } = mainLan(machine.bmc.lans);
  const { port } = stack.use(await listenOnLan(machine.bmc));
  const addresses = new Map(mapped ? [[mac, { host: "127.0.0.1", port }]] : []);
  const service = await startTestService({ directory: data, pki, data, [Symbol.dispose]() {} }, connectLan, {
    addresses,
    networks: new BmcNetworks(mapped ? [] : [parseNetwork("127.0.0.0/8")]),
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
  return { machine, mac, port, boot, operator, described, output, service };
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

    const again = await boot();
    expect(again).toMatchObject({ kind: "recognised", bmc: { mac, slot: 0 } });
    expect(again.ipmi.commands).toBeLessThanOrEqual(3);
    expect(await described(mac)).toMatchObject({ state: "linked", ipmi: { user: "rackadmin" } });
    expect(JSON.stringify(machine.bmc.users)).toBe(users);
    expect([...output, ...service.log].filter((text) => text.includes(password))).toEqual([]);
  });
});

describe("a machine whose BMC tells nothing at all in-band", () => {
  const login = () => ["--user", "rackadmin", "--password-file", file];

  test("is linked by the account of an operator and where the BMC is, recognised at the next boot, and locked again without it", async () => {
    const { machine, mac, port, boot, operator, described } = await site("dgx-h200-locked", { mapped: false });
    expect((await boot()).kind).toBe("locked");
    const locked = await described(machineUuid);
    expect(locked).toMatchObject({ machine_id: machineUuid, state: "locked" });
    expect(locked).not.toHaveProperty("mac");
    expect(locked.state_reason).toContain(
      `bmcctl update ${machineUuid} --user NAME --password-file FILE --address HOST`,
    );
    const users = JSON.stringify(machine.bmc.users);

    const nowhere = await operator("update", machineUuid, ...login());
    expect(nowhere).toMatchObject({ code: 75, stderr: expect.stringContaining("say where it is (--address)") });
    expect(await described(machineUuid)).toEqual(locked);

    const taken = await operator("update", machineUuid, ...login(), "--address", `127.0.0.1:${port}`);
    expect(taken).toMatchObject({ code: 0, stderr: "" });
    expect(taken.stdout).toMatch(new RegExp(`^${mac} +linked +rackadmin +IPMI$`, "m"));
    const linked = await described(machineUuid);
    expect(linked).toMatchObject({ mac, state: "linked", machine_id: machineUuid });
    expect(JSON.stringify(linked)).toContain(`127.0.0.1:${port}`);
    expect((await operator("power", mac, "off")).stdout).toMatch(/ off +IPMI/);

    const again = await boot();
    expect(again).toMatchObject({ kind: "recognised", bmc: { mac, address: "" } });
    expect(await described(machineUuid)).toMatchObject({ mac, state: "linked", ipmi: { user: "rackadmin" } });
    expect(JSON.stringify(machine.bmc.users)).toBe(users);

    const user = machine.bmc.users[2];
    if (user === undefined) throw new Error("user 3 is gone");
    user.enabled = false;
    expect((await boot()).kind).toBe("locked");
    expect(await described(mac)).toMatchObject({ mac, state: "locked" });
  });
});

test("a BMC with a key of its own for logins, K_G, says what to do about it", async () => {
  const { mac, boot, described, operator } = await site("two-key-login");
  const outcome = await boot();
  expect(outcome).toMatchObject({ kind: "failed", reason: expect.stringMatching(/K_G.*clear that key on the BMC/) });
  expect(exitCodeOf(outcome)).toBe(77);
  expect((await described(mac)).state_reason).toContain("clear that key on the BMC");
  const given = await operator("update", mac, "--user", "rackadmin", "--password-file", file);
  expect(given).toMatchObject({ code: 77, stderr: expect.stringContaining("clear that key on the BMC") });
});
