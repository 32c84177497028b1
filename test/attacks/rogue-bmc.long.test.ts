import { afterEach, describe, expect, test } from "vitest";
import { call, refusal } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, namesOf, uuid1 } from "../../bmc-service/fixture/enrolling.ts";
import { FakeBmc } from "../../bmc-service/fixture/fake-bmc.ts";
import type { ConnectBmc } from "../../bmc-service/reach/connect-bmc.ts";
import { cryptoRandomBelow } from "../../inband/account/credentials.ts";
import { randomPassword } from "../../ipmi/password.ts";
import { passwordForms } from "../../ipmi/password-form.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";
import { connectLan, SessionError } from "../../outband-client/lan/index.ts";
import { decodePacket, type PayloadType } from "../../outband-client/lan/packet.ts";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { FaultyLink } from "../simulator/faulty-link.ts";
import { LanServer, type LanServerOptions } from "../simulator/lan-server.ts";
import { type AttackedSite, attackedSite, victim } from "./site.ts";

let site: AttackedSite;
afterEach(() => site[Symbol.asyncDispose]());

const timeouts = {
  handshakeMs: [25, 25],
  cipherSuitesMs: 25,
  requestMs: [25, 25],
  keepAliveMs: 0,
  closeMs: 25,
  loginMs: 2_000,
};

/** Whoever answers at the address of the linked BMC from now on. */
function impostor(options: Partial<LanServerOptions>, change: (link: FaultyLink) => void = () => undefined) {
  const links: FaultyLink[] = [];
  const connect: ConnectBmc = (login) => {
    const refuse = (): Reply => ({ completionCode: 0xc1, data: new Uint8Array() });
    const link = new FaultyLink(new LanServer({ users: [], handle: refuse, ...options }));
    change(link);
    links.push(link);
    return connectLan({ ...login, timeouts, datagram: link });
  };
  return { connect, heard: () => links.flatMap(({ sent }) => sent.map((each) => Buffer.from(each))) };
}

/** To Get LAN Configuration Parameters the MAC address of another BMC, whatever was asked. IPMI 2.0 section 23.2. */
const tellsOtherMac = (): Reply => ({ completionCode: 0, data: Uint8Array.of(0x11, 0x52, 0x54, 0, 0xb1, 0, 0x66) });

/** What was sent in packets of that type. */
function sentIn(datagrams: readonly Buffer[], type: PayloadType): Uint8Array[] {
  return datagrams.flatMap((each) => {
    const packet = decodePacket(each);
    return packet.format === "2.0" && packet.payloadType === type ? [packet.payload] : [];
  });
}

const powerStatus = () => call(site.service.operator.bmc, site.service.operator.bmc.getPower, { mac: mac1 });
const powerOff = () =>
  call(site.service.operator.bmc, site.service.operator.bmc.setPower, {
    mac: mac1,
    action: PowerAction.POWER_ACTION_OFF,
  });

describe("a rogue BMC at the address of the linked one", () => {
  test("learns the user name from the login, and neither the password nor an HMAC over it", async () => {
    const { connect, heard } = impostor({ users: [{ name: victim.name, password: "what it guesses" }] });
    site = await attackedSite({}, connect);
    const before = await site.state();
    site.attacks();
    expect(await refusal(powerStatus())).toMatchObject({ code: "PERMISSION_DENIED" });
    const datagrams = heard();
    expect(sentIn(datagrams, "rakp1").length).toBeGreaterThan(0);
    expect(sentIn(datagrams, "ipmi")).toEqual([]);
    // RAKP 3 says at most that the code of RAKP 2 was wrong: status and session, no code. IPMI 2.0 table 13-13.
    for (const payload of sentIn(datagrams, "rakp3")) expect(payload.length).toBeLessThanOrEqual(8);
    const all = Buffer.concat(datagrams);
    expect(all.includes(victim.name)).toBe(true);
    expect(all.includes(victim.password)).toBe(false);
    expect(await site.state()).toBe(before);
    expect(site.service.log.join("")).not.toContain(victim.password);
    expect(site.attacks()).toMatchObject([{ attack: "refused login", mac: mac1, rpc: "BmcService/GetPower" }]);
  });

  test("is told of in the log when it fails the hand-off of an enrolment", async () => {
    const { connect } = impostor({ users: [{ name: victim.name, password: "what it guesses" }] });
    site = await attackedSite({}, connect);
    const machine = await site.machine(uuid1);
    await machine.beginWith((await site.token(uuid1)).text);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1));
    site.attacks();
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(site.attacks()).toMatchObject([{ attack: "refused login", mac: mac1, msg: "hand-off failed" }]);
  });

  test("gets no new password by a rotation", async () => {
    const { connect, heard } = impostor({ users: [{ name: victim.name, password: "what it guesses" }] });
    site = await attackedSite({}, connect);
    const before = await site.state();
    site.attacks();
    const { bmc: client } = site.service.operator;
    expect(await refusal(call(client, client.rotateAccount, { mac: mac1 }))).toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect(heard().length).toBeGreaterThan(0);
    expect(await site.state()).toBe(before);
  });

  test("that knows the password is another BMC still", async () => {
    const { connect, heard } = impostor({ users: [victim], handle: tellsOtherMac });
    site = await attackedSite({}, connect);
    const before = await site.state();
    site.attacks();
    const { bmc: client } = site.service.operator;
    expect(await refusal(call(client, client.rotateAccount, { mac: mac1 }))).toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    // Who has proved to know the password gets a code over it: the test above can fail.
    expect(sentIn(heard(), "rakp3").some(({ length }) => length > 8)).toBe(true);
    expect(await site.state()).toBe(before);
    expect(site.attacks()).toMatchObject([{ attack: "another BMC", mac: mac1, rpc: "BmcService/RotateAccount" }]);
  });

  test("that answers with 1 MB for each datagram keeps nobody for long", async () => {
    const flood = new Uint8Array(64_000).fill(0x06);
    const { connect } = impostor({ users: [victim] }, (link) => {
      link.fromBmc = () => Array.from({ length: 16 }, () => flood);
    });
    site = await attackedSite({}, connect);
    const before = await site.state();
    site.attacks();
    const started = performance.now();
    expect(await refusal(powerStatus())).toMatchObject({ code: "UNAVAILABLE" });
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(await site.state()).toBe(before);
  });

  test("that answers another request than was asked is not believed", async () => {
    // "The power is off now", to whatever was asked.
    const other = (message: Message) => [
      { afterMs: 0, answers: message, netFn: 0, cmd: 0x77, body: Uint8Array.of(0, 0, 0, 0, 0) },
    ];
    const { connect } = impostor({ users: [victim], handle: other });
    site = await attackedSite({}, connect);
    const before = await site.state();
    site.attacks();
    expect((await refusal(powerOff())).code).toMatch(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/);
    expect(await site.state()).toBe(before);
  });
});

describe("a BMC of the stranger's own, with the MAC address and the GUID of the linked one and a user of theirs,", () => {
  const evil = { slot: 3, name: "rivetevil", password: "Evil-password-99" };
  const elsewhere = "10.6.6.6";
  let isOn = true;

  /** @param isReachable whether the service reaches the linked BMC */
  async function attacked(isReachable: boolean): Promise<void> {
    isOn = isReachable;
    const rogue = new FakeBmc(mac1);
    rogue.users.push(evil);
    const connect: ConnectBmc = (login) => {
      if (login.host === elsewhere) return rogue.connect(login);
      if (isOn) return site.bmc.connect(login);
      throw new SessionError(`lan:${login.host}`, "no answer", "nobody answered");
    };
    site = await attackedSite({}, connect);
    rogue.guid = site.bmc.guid;
    site.attacks();
  }

  /** With the certificate that all agents share. */
  async function stranger(): Promise<EnrollingAgent> {
    const agent = new EnrollingAgent(site.service.agent);
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere }));
    return agent;
  }

  async function row() {
    const { bmc: client } = site.service.operator;
    const { bmc } = await call(client, client.getBmc, { key: mac1, showSecrets: false });
    const { accounts } = await call(client, client.listAccounts, { mac: mac1, showSecrets: false });
    const { address, state, machineUuid, account } = bmc ?? {};
    const victims = accounts.filter(({ userName }) => userName === victim.name);
    return { address, state, machineUuid, inUse: account?.userName, victims: victims.map(({ state }) => state) };
  }

  const linked = {
    address: "10.0.0.8",
    state: State.STATE_LINKED,
    machineUuid: uuid1,
    inUse: victim.name,
    victims: [AccountState.ACCOUNT_STATE_VERIFIED],
  };

  test("takes no row over, and 150 further accounts push none out that works", async () => {
    await attacked(true);
    const agent = await stranger();
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(await row()).toEqual(linked);
    await agent.handOff();
    expect(await row()).toEqual(linked);
    for (let run = 0; run < 5; run += 1) {
      const again = await stranger();
      for (let i = 0; i < 30; i += 1) {
        await again.confirm(await again.escrow(mac1, evil.name, `Evil-password-${run}-${i}`));
      }
    }
    expect(await row()).toEqual(linked);
    await (await stranger()).handOff();
    expect(await row()).toEqual(linked);
    expect(await powerStatus()).toMatchObject({ powerOn: true });
  });

  test("is a conflict for an operator while the linked BMC does not answer, and loses nothing", async () => {
    await attacked(false);
    const agent = await stranger();
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(site.attacks()).toContainEqual(expect.objectContaining({ attack: "another BMC", mac: mac1 }));
    expect(await row()).toEqual({ ...linked, state: State.STATE_FAILED });
    const { bmc: client } = site.service.viewer;
    expect((await call(client, client.listConflicts, { all: false })).conflicts).toMatchObject([
      { key: mac1, machineUuid: uuid1, text: expect.stringContaining(elsewhere) },
    ]);
    isOn = true;
    await (await stranger()).handOff();
    expect(await row()).toEqual(linked);
  });

  test("is believed if an operator has made a token for that machine: then the machine has got another place", async () => {
    await attacked(false);
    const machine = await site.machine(uuid1);
    await machine.beginWith((await site.token(uuid1)).text);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere }));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    expect(await row()).toMatchObject({ address: elsewhere, state: State.STATE_LINKED, inUse: evil.name });
  });

  test("is not believed with a token for any machine, though the certificate for it is in the machine's name", async () => {
    await attacked(false);
    const machine = await site.machine(uuid1);
    await machine.beginWith((await site.token()).text);
    const agent = machine.goOn();
    await agent.report(factsOf(mac1, { ipv4Address: elsewhere }));
    await agent.confirm(await agent.escrow(mac1, evil.name, evil.password));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("failed");
    expect(await row()).toEqual({ ...linked, state: State.STATE_FAILED });
  });
});

test.each(passwordForms)("a password is worth no offline guess: $name has 90 bits at least", (form) => {
  // Every password that follows the rules is as likely: all texts of that length, less those that are drawn again.
  const passwords = 2_000;
  let draws = 0;
  const counting = (below: number) => {
    draws += 1;
    return cryptoRandomBelow(below);
  };
  for (let i = 0; i < passwords; i += 1) randomPassword(uuid1, counting, form);
  const accepted = (passwords * form.characters) / draws;
  const bits = form.characters * Math.log2(62 + form.specials.length) + Math.log2(accepted);
  expect(accepted).toBeGreaterThan(0.01);
  expect(bits).toBeGreaterThan(90);
});
