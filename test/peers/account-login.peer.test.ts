import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyAccount } from "../../inband/account/apply-account.ts";
import { choosePlace } from "../../inband/account/choose-place.ts";
import { generatePassword, generateUserName } from "../../inband/account/credentials.ts";
import { proveAccount } from "../../inband/account/prove-account.ts";
import type { AccountPassword, WantedAccount } from "../../inband/account/wanted-account.ts";
import { systemClock } from "../../inband/clock.ts";
import type { Conversation } from "../../inband/conversation.ts";
import { passwordForms } from "../../ipmi/password-form.ts";
import { type ForeignLogin, freeipmi, ipmitool } from "../lab/foreign-login.ts";
import { type IpmiSim, type SimulatedUser, startIpmiSim } from "../lab/ipmi-sim.ts";
import { connectAsMachine } from "../lab/machine-side.ts";

const foreign: SimulatedUser[] = [
  { slot: 2, name: "ADMIN", password: "factory-Pass-1", privilege: "admin" },
  { slot: 3, name: "monitor", password: "watch-Pass-2", privilege: "user" },
  { slot: 5, name: "retired", password: "gone-Pass-3", privilege: "operator", enabled: false },
];

let directory: string;
let sim: IpmiSim;
const stack = new AsyncDisposableStack();
type Made = WantedAccount & { readonly current: AccountPassword };
const made: Made[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-peers-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  sim = stack.use(
    await startIpmiSim({
      directory,
      mac: "02:00:5e:10:00:01",
      ip: "192.0.2.41",
      guid: "00112233445566778899aabbccddeeff",
      users: foreign,
    }),
  );
  await using transport = await connectAsMachine(sim.vmPort);
  const conversation: Conversation = { transport, clock: systemClock, signal: AbortSignal.timeout(30_000) };
  made.push(await makeAccount(conversation, []));
});
afterAll(() => stack.disposeAsync());

/** Makes an account as the agent does, in the slot of an earlier one of ours if there is one. */
async function makeAccount(conversation: Conversation, ourNames: readonly string[]): Promise<Made> {
  const { slot, replaces } = await choosePlace(conversation, 1, {
    ourNames,
    ourSlot: "not expected",
    namePrefix: "rivet",
  });
  const wanted: WantedAccount = {
    channel: 1,
    slot,
    userName: generateUserName("rivet"),
    privilege: 4,
    ...(replaces === undefined ? {} : { replaces }),
  };
  const current = { characters: generatePassword(), form: passwordForms[0] };
  const passwords = { current, triedText: "", next: async () => false };
  await applyAccount(conversation, wanted, passwords);
  await proveAccount(conversation, wanted, passwords);
  return { ...wanted, current };
}

function loginOf(account: Made | undefined): ForeignLogin {
  if (account === undefined) throw new Error("no account was made");
  const password = Buffer.from(account.current.characters).toString("latin1");
  return { lanPort: sim.lanPort, userName: account.userName, password, directory };
}

const withPassword = (user: SimulatedUser): ForeignLogin => ({
  lanPort: sim.lanPort,
  userName: user.name,
  password: user.password,
  directory,
});

describe("an account made in-band lets foreign clients in from remote", () => {
  test("it sits in the first slot that was empty", () => {
    expect(made[0]?.slot).toBe(4);
  });

  test("ipmitool over lanplus", async () => {
    const { exitCode, output } = await ipmitool(loginOf(made[0]), ["-L", "ADMINISTRATOR", "mc", "info"]);
    expect(output).toContain("IPMI Version              : 2.0");
    expect(exitCode).toBe(0);
  });

  test("ipmitool lists it as administrator on the LAN channel", async () => {
    const { output } = await ipmitool(loginOf(made[0]), ["-c", "user", "list", "1"]);
    const line = output.split("\n").find((text) => text.startsWith("4,"));
    expect(line).toBe(`4,${made[0]?.userName},true,false,true,ADMINISTRATOR`);
  });

  test("FreeIPMI's bmc-info", async () => {
    const { exitCode, output } = await freeipmi("bmc-info", loginOf(made[0]), ["--get-device-id"]);
    expect(output).toContain("IPMI Version          : 2.0");
    expect(exitCode).toBe(0);
  });

  test("FreeIPMI's ipmipower", async () => {
    const { exitCode, output } = await freeipmi("ipmipower", loginOf(made[0]), ["--stat"]);
    expect(output).toMatch(/: (on|off)$/m);
    expect(exitCode).toBe(0);
  });

  test("FreeIPMI's ipmi-config reads it back as administrator", async () => {
    const args = ["--category=core", "--checkout", "--section=User4"];
    const { output } = await freeipmi("ipmi-config", loginOf(made[0]), args);
    expect(output).toMatch(new RegExp(`Username\\s+${made[0]?.userName}`));
    expect(output).toMatch(/Lan_Enable_IPMI_Msgs\s+Yes/);
    expect(output).toMatch(/Lan_Privilege_Limit\s+Administrator/);
  });

  test("nobody gets in with another password", async () => {
    const login = { ...loginOf(made[0]), password: "Wrong1!wrong2!Ab" };
    expect((await ipmitool(login, ["mc", "info"])).exitCode).not.toBe(0);
    expect((await freeipmi("bmc-info", login, ["--get-device-id"])).output).toContain("password invalid");
  });

  test("the accounts that were there before still have their passwords and states", async () => {
    const [admin, monitor, retired] = foreign.map(withPassword);
    if (!admin || !monitor || !retired) throw new Error("three users");
    expect((await ipmitool(admin, ["mc", "info"])).exitCode).toBe(0);
    expect((await ipmitool(monitor, ["-L", "USER", "mc", "info"])).exitCode).toBe(0);
    expect((await ipmitool(retired, ["-L", "USER", "mc", "info"])).exitCode).not.toBe(0);
  });
});

test("a second account of ours takes the place of the first, whose password ends", async () => {
  const [first] = made;
  if (first === undefined) throw new Error("no account was made");
  await using transport = await connectAsMachine(sim.vmPort);
  const conversation: Conversation = { transport, clock: systemClock, signal: AbortSignal.timeout(30_000) };
  const second = await makeAccount(conversation, [first.userName]);
  expect(second.slot).toBe(first.slot);
  expect((await ipmitool(loginOf(second), ["mc", "info"])).exitCode).toBe(0);
  expect((await ipmitool(loginOf(first), ["mc", "info"])).exitCode).not.toBe(0);
});
