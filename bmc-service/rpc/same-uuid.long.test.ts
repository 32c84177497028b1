import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, type Bmc, State, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ConflictDecision, type WatchBmcsResponse } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";
import type { BmcLogin } from "../reach/connect-bmc.ts";

const uuid = uuid1;
const mac3 = "52:54:00:b1:00:03";
type Decision = Parameters<TestService["admin"]["bmc"]["resolveConflict"]>[0]["decision"];
let site: Site;
let bmcs: Map<string, FakeBmc>;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  bmcs = new Map();
  const connect = (login: BmcLogin) => {
    const bmc = bmcs.get(login.host);
    if (bmc === undefined) throw new Error(`the test has no BMC at ${login.host}`);
    return bmc.connect(login);
  };
  service = await startTestService(site, connect);
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

/** A machine with its BMC, each boot of which is an enrolment of its own. */
class TestMachine {
  readonly mac: string;
  readonly serial: string;
  readonly facts;
  readonly bmc: FakeBmc;

  constructor(mac: string, serial: string, uuidOfBoard = uuid) {
    this.mac = mac;
    this.serial = serial;
    this.uuid = uuidOfBoard;
    this.facts = factsOf(mac, { ipv4Address: `10.0.0.${Number.parseInt(mac.slice(-2), 16)}` });
    this.bmc = new FakeBmc(mac);
    bmcs.set(this.facts.ipv4Address, this.bmc);
  }
  readonly uuid: string;

  async begin() {
    const agent = new EnrollingAgent(service.agent);
    return { agent, begun: await agent.begin(this.uuid, this.serial) };
  }

  /** A boot up to the report. */
  async boot() {
    const { agent, begun } = await this.begin();
    await agent.report(this.facts);
    return { agent, begun };
  }

  async link(userName = `rivet${this.mac.slice(-2)}`, booted?: EnrollingAgent) {
    const agent = booted ?? (await this.boot()).agent;
    this.bmc.users.push({ slot: 3, name: userName, password: "Secret-pass-1234" });
    await agent.confirm(await agent.escrow(this.mac, userName, "Secret-pass-1234"));
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  }
}

/** All agents here share one certificate, of which every row warns. */
const ofInterest = ({ warnings }: Bmc) =>
  warnings.filter(({ kind }) => kind !== WarningKind.WARNING_KIND_SHARED_CERTIFICATE);

async function rows() {
  const { bmcs: all } = await call(service.operator.bmc, service.operator.bmc.listBmcs, {});
  return all.map((row) => ({ ...row, warnings: ofInterest(row) }));
}

const keys = async () => (await rows()).map(({ key }) => key);
const warned = async () => (await rows()).map(({ warnings }) => warnings.map(({ kind }) => kind));
const duplicate = [WarningKind.WARNING_KIND_DUPLICATE_UUID];

async function historyOf(key: string) {
  const { entries } = await call(service.operator.bmc, service.operator.bmc.listHistory, { key, limit: 0 });
  return entries.map(({ action }) => action);
}

const remove = (key: string) => call(service.admin.bmc, service.admin.bmc.deleteBmc, { key });

/** Refused: a linked machine may have another BMC now. An admin says what it is. */
async function decide(machine: TestMachine, decision: Decision): Promise<void> {
  const { agent } = await machine.begin();
  const refused = await refusal(agent.report(machine.facts));
  expect(refused).toMatchObject({ code: "FAILED_PRECONDITION" });
  const { bmc: client } = service.admin;
  const [open, ...more] = (await call(client, client.listConflicts, { all: false })).conflicts;
  expect(more).toEqual([]);
  expect(open).toMatchObject({ claimedMac: machine.mac, machineUuid: machine.uuid });
  await call(client, client.resolveConflict, { id: open?.id ?? "", decision });
}

const accept = (machine: TestMachine) => decide(machine, ConflictDecision.CONFLICT_DECISION_ACCEPTED);
const acceptBeside = (machine: TestMachine) => decide(machine, ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE);

/** Boards that cannot be told apart, where an admin has to. */
const alike = [
  ["one board serial number", "S-1", "S-1"],
  ["no board serial number", "", ""],
  ["a board serial number on the first one only", "S-1", ""],
  ["a board serial number on the second one only", "", "S-2"],
  ["placeholders as board serial numbers", "To be filled by O.E.M.", "Default string"],
] as const;

describe.each([
  ["other board serial numbers", "S-1", "S-2", async () => undefined],
  ...alike.map((each) => [...each, acceptBeside] as const),
] as const)("two machines with one UUID and %s", (_title, serial1, serial2, admit) => {
  test("are both linked, both warned of, and keep what each is", async () => {
    const [one, two] = [new TestMachine(mac1, serial1), new TestMachine(mac2, serial2)];
    await one.link();
    expect(await warned()).toEqual([[]]);
    await admit(two);
    // What an admin has admitted is not used up by the machine that is linked.
    expect(namesOf(await (await one.boot()).agent.handOff()).at(-1)).toBe("handedOff");
    await two.boot();
    await two.link();
    await one.boot();
    await two.boot();
    const [first, second] = await rows();
    expect(first).toMatchObject({ mac: mac1, machineUuid: uuid, state: State.STATE_LINKED, stateReason: "" });
    expect(second).toMatchObject({ mac: mac2, machineUuid: uuid, state: State.STATE_LINKED, stateReason: "" });
    expect(first?.account).toMatchObject({ userName: "rivet01", state: AccountState.ACCOUNT_STATE_VERIFIED });
    expect(second?.account).toMatchObject({ userName: "rivet02", state: AccountState.ACCOUNT_STATE_VERIFIED });
    expect(first?.machine?.board?.serialNumber ?? "").toBe(serial1);
    expect(second?.machine?.board?.serialNumber ?? "").toBe(serial2);
    expect(await warned()).toEqual([duplicate, duplicate]);
    expect(first?.warnings[0]?.text).toContain(mac2);
    expect(second?.warnings[0]?.text).toContain(mac1);
    expect((await historyOf(mac1)).filter((action) => action === "duplicate UUID")).toHaveLength(1);
    expect((await historyOf(mac2)).filter((action) => action === "duplicate UUID")).toHaveLength(1);
  });

  test("are told apart by an operator: a UUID alone names none, and what is deleted is not warned of", async () => {
    await new TestMachine(mac1, serial1).link();
    const second = new TestMachine(mac2, serial2);
    await admit(second);
    await second.link();
    const { bmc: client } = service.operator;
    const refused = await refusal(call(client, client.getBmc, { key: uuid, showSecrets: false }));
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(refused.details).toContain(`${mac1}, ${mac2}`);
    expect(await refusal(remove(uuid))).toMatchObject({ code: "INVALID_ARGUMENT" });
    await remove(mac1);
    expect(await warned()).toEqual([[]]);
    expect((await call(client, client.getBmc, { key: uuid, showSecrets: false })).bmc?.mac).toBe(mac2);
  });
});

describe.each(alike)("a machine that reports another BMC than the linked one, with %s", (_title, serial1, serial2) => {
  test("is refused in whatever boot, makes no row, and changes nothing", async () => {
    const [linked, other] = [new TestMachine(mac1, serial1), new TestMachine(mac2, serial2)];
    await linked.link();
    const before = (await rows())[0];
    for (let boot = 0; boot < 2; boot += 1) {
      const { agent } = await other.begin();
      const refused = await refusal(agent.report(other.facts));
      expect(refused.details).toContain(`is linked to BMC ${mac1}, but reports BMC ${mac2}, at 10.0.0.2, now`);
      expect(refused.details).toContain("accept --separate");
      expect(await refusal(agent.escrow(mac2, "rivet02", "Secret-pass-1234"))).toMatchObject({
        code: "FAILED_PRECONDITION",
      });
    }
    const { bmc: client } = service.operator;
    const { bmc } = await call(client, client.getBmc, { key: uuid, showSecrets: false });
    expect(bmc).toMatchObject({ mac: mac1, state: State.STATE_LINKED, account: before?.account });
    expect(bmc?.machine).toEqual(before?.machine);
    expect(await keys()).toEqual([mac1]);
    expect((await warned()).flat()).toEqual([WarningKind.WARNING_KIND_CONFLICT]);
  });

  test("has it as its own when an admin accepts that: its board was replaced", async () => {
    await new TestMachine(mac1, serial1).link();
    const replaced = new TestMachine(mac2, serial2);
    await accept(replaced);
    await replaced.link();
    const { bmc: client } = service.operator;
    const { bmc } = await call(client, client.getBmc, { key: uuid, showSecrets: false });
    expect(bmc).toMatchObject({ mac: mac2, state: State.STATE_LINKED });
    expect(await warned()).toEqual([[], []]);
    expect((await rows())[0]).toMatchObject({ mac: mac1, machineUuid: "", state: State.STATE_REPORTED });
  });
});

describe("a further machine with the UUID of a linked one", () => {
  test("is admitted with its own BMC alone, until that is linked, and then no other one is", async () => {
    await new TestMachine(mac1, "").link();
    const second = new TestMachine(mac2, "");
    await acceptBeside(second);
    const third = new TestMachine(mac3, "");
    expect(await refusal((await third.begin()).agent.report(third.facts))).toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    // A run that dies is begun again.
    await second.boot();
    expect(await keys()).toEqual([mac1, mac2]);
    await second.link();
    await second.boot();
    const elsewhere = new TestMachine(mac3, "");
    expect(await refusal((await elsewhere.begin()).agent.report(elsewhere.facts))).toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    expect(await keys()).toEqual([mac1, mac2]);
    await remove(mac2);
    expect(await refusal((await second.begin()).agent.report(second.facts))).toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  test("that reported its BMC before, which nobody has proved, is refused like any other", async () => {
    const [one, two] = [new TestMachine(mac1, ""), new TestMachine(mac2, "")];
    const first = (await one.boot()).agent;
    const second = (await two.boot()).agent;
    const begun = await one.begin();
    await begun.agent.report(one.facts);
    await one.link("rivet01", begun.agent);
    expect(first.sessionToken).not.toBe("");
    // What was under way goes on.
    await second.report(two.facts);
    expect(await refusal((await two.begin()).agent.report(two.facts))).toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("cannot be accepted so if it claims the linked BMC, or has none", async () => {
    const linked = new TestMachine(mac1, "");
    await linked.link();
    const stranger = new TestMachine(mac1, "", uuid2);
    await refusal((await stranger.begin()).agent.report(stranger.facts));
    await refusal((await linked.begin()).agent.reportNone());
    const { bmc: client } = service.admin;
    const { conflicts } = await call(client, client.listConflicts, { all: false });
    expect(conflicts).toHaveLength(2);
    const decision = ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE;
    for (const { id } of conflicts) {
      expect(await refusal(call(client, client.resolveConflict, { id, decision }))).toMatchObject({
        code: "FAILED_PRECONDITION",
        details: expect.stringContaining("it cannot be accepted as a separate machine"),
      });
    }
  });
});

describe("two machines with one UUID", () => {
  test("and other board serial numbers are each told their own linkage", async () => {
    const [one, two] = [new TestMachine(mac1, "S-1"), new TestMachine(mac2, "S-2")];
    await one.link();
    const { linkage } = (await two.begin()).begun;
    expect(linkage).toMatchObject({ mac: "", userName: "", slot: 0, fresh: false, knownUserNames: ["rivet01"] });
    await two.link();
    expect((await one.begin()).begun.linkage).toMatchObject({ mac: mac1, userName: "rivet01" });
    expect((await two.begin()).begun.linkage).toMatchObject({ mac: mac2, userName: "rivet02" });
  });

  test("and nothing else to tell them apart are told the names of both, so that each finds its own account", async () => {
    const [one, two] = [new TestMachine(mac1, ""), new TestMachine(mac2, "")];
    await one.link();
    await acceptBeside(two);
    await two.link();
    for (const machine of [one, two]) {
      const { linkage } = (await machine.begin()).begun;
      expect(linkage?.knownUserNames.toSorted()).toEqual(["rivet01", "rivet02"]);
    }
  });

  test("that enrol at the same time for the first time do not take each other's place", async () => {
    const [one, two] = [new TestMachine(mac1, "S-1"), new TestMachine(mac2, "S-2")];
    const { agent: first } = await one.boot();
    const { agent: second } = await two.boot();
    expect(await warned()).toEqual([duplicate, duplicate]);
    await first.escrow(mac1, "rivet01", "Secret-pass-1234");
    await second.escrow(mac2, "rivet02", "Secret-pass-1234");
    expect((await rows()).map(({ state }) => state)).toEqual([State.STATE_ESCROWED, State.STATE_ESCROWED]);
  });

  test("and no BMC have rows with keys of their own, and so does one with and one without", async () => {
    const one = new TestMachine(mac1, "S-1");
    const { agent: first } = await one.begin();
    await first.reportNone();
    const { agent: second } = await new TestMachine(mac2, "S-2").begin();
    await second.reportNone();
    expect(await keys()).toEqual([uuid, `${uuid}/S-2`]);
    expect(await warned()).toEqual([duplicate, duplicate]);
    const { bmc: client } = service.operator;
    const found = await call(client, client.getBmc, { key: `${uuid.toUpperCase()}/S-2`, showSecrets: false });
    expect(found.bmc).toMatchObject({ mac: "", machineUuid: uuid, machine: { board: { serialNumber: "S-2" } } });
    await one.boot();
    expect(await keys()).toEqual([mac1, `${uuid}/S-2`]);
    await remove(`${uuid}/S-2`);
    expect(await warned()).toEqual([[]]);
  });

  test("are shown to watchers when the second one comes, and when it goes", async () => {
    await new TestMachine(mac1, "S-1").link();
    const stream = service.operator.bmc.watchBmcs({});
    const seen: WatchBmcsResponse[] = [];
    stream.on("data", (message: WatchBmcsResponse) => seen.push(message));
    stream.on("error", () => undefined);
    const last = () => {
      const rowsOf1 = seen.flatMap(({ change }) =>
        change?.$case === "bmc" && change.value.mac === mac1 ? [ofInterest(change.value).length] : [],
      );
      return rowsOf1.at(-1);
    };
    await expect.poll(last).toBe(0);
    await new TestMachine(mac2, "S-2").boot();
    await expect.poll(last).toBe(1);
    await remove(mac2);
    await expect.poll(last).toBe(0);
    stream.cancel();
  });

  test("may be three", async () => {
    for (const [i, mac] of [mac1, mac2, mac3].entries()) await new TestMachine(mac, `S-${i}`).link();
    expect(await keys()).toEqual([mac1, mac2, mac3]);
    const [first] = await rows();
    expect(first?.warnings[0]?.text).toContain(`${mac2} (board serial number S-1), ${mac3} (board serial number S-2)`);
  });
});

describe("one machine", () => {
  test("whose board serial number was filled in, or changed, is known by its BMC once it has proved to write to that", async () => {
    await new TestMachine(mac1, "").link();
    let before = "";
    for (const serial of ["S-1", "S-2"]) {
      const shown = async () => {
        const [row, ...more] = await rows();
        expect({ more, ...row }).toMatchObject({ more: [], mac: mac1, state: State.STATE_LINKED, warnings: [] });
        return [row?.machine?.board?.serialNumber ?? "", row?.inventory?.memoryBytes];
      };
      const memory = (await shown())[1];
      const machine = new TestMachine(mac1, serial);
      const { agent, begun } = await machine.boot();
      // Else it would make an account beside the one in use.
      expect(begun.linkage?.knownUserNames).toContain("rivet01");
      await agent.reportInventoryOf(BigInt(serial.length));
      expect(await shown()).toEqual([before, memory]);
      await machine.link(`rivet${serial.toLowerCase()}`, agent);
      expect(await shown()).toEqual([serial, 3n]);
      before = serial;
    }
    expect((await new TestMachine(mac1, "S-2").begin()).begun.linkage).toMatchObject({ mac: mac1, fresh: true });
  });

  test("with a new UUID takes its BMC along only if an operator says so", async () => {
    await new TestMachine(mac1, "S-1").link();
    const renamed = new TestMachine(mac1, "S-1", uuid2);
    const { agent } = await renamed.begin();
    expect(await refusal(agent.report(renamed.facts))).toMatchObject({ code: "FAILED_PRECONDITION" });
    await remove(mac1);
    await agent.report(renamed.facts);
    expect(await rows()).toMatchObject([{ mac: mac1, machineUuid: uuid2, warnings: [] }]);
  });

  test("that reports another BMC in the same boot leaves the one that was not proved", async () => {
    const { agent } = await new TestMachine(mac1, "S-1").boot();
    await agent.report(new TestMachine(mac2, "S-1").facts);
    expect(await rows()).toMatchObject([
      { mac: mac1, machineUuid: "", warnings: [] },
      { mac: mac2, machineUuid: uuid, warnings: [] },
    ]);
  });

  test("that reports another BMC after a boot may be another machine, though none was linked yet", async () => {
    await new TestMachine(mac1, "S-1").boot();
    await new TestMachine(mac2, "S-1").boot();
    expect((await rows()).map(({ machineUuid }) => machineUuid)).toEqual([uuid, uuid]);
    expect(await warned()).toEqual([duplicate, duplicate]);
  });

  test("whose BMC is known by another of its LAN channels now keeps row, accounts and linkage", async () => {
    const machine = new TestMachine(mac1, "");
    await machine.link();
    const channels = [mac1, mac2].map((mac, i) => ({ channel: i + 1, mac, ipv4Address: "", remark: "" }));
    machine.bmc.otherMacs.set(2, mac2);
    const { agent } = await machine.begin();
    await agent.report({ ...machine.facts, mac: mac2, channel: 2, channels });
    expect(await keys()).toEqual([mac2]);
    // Both were found by a remote login, before the answer.
    expect(machine.bmc.logins).toHaveLength(2);
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
    const [row, ...more] = await rows();
    expect(more).toEqual([]);
    expect(row).toMatchObject({ key: mac2, mac: mac2, state: State.STATE_LINKED, warnings: [], facts: { channel: 2 } });
    expect(row?.account).toMatchObject({ mac: mac2, userName: "rivet01" });
    expect(await historyOf(mac1)).toContain("channel changed");
    expect(await historyOf(mac2)).toContain("channel changed");
    await agent.escrow(mac2, "rivet02", "Secret-pass-1234");
    const linkage = { mac: mac2, knownUserNames: ["rivet02", "rivet01"] };
    expect((await machine.begin()).begun.linkage).toMatchObject(linkage);
    // And back, though another machine of that UUID has a row of its own.
    const twin = new TestMachine(mac3, "");
    await acceptBeside(twin);
    await twin.link();
    const back = (await machine.begin()).agent;
    await back.report({ ...machine.facts, channels });
    expect(namesOf(await back.handOff()).at(-1)).toBe("handedOff");
    expect(await keys()).toEqual([mac1, mac3]);
    expect(await warned()).toEqual([duplicate, duplicate]);
  });

  test("whose other channel has a row that was proved is not joined with it", async () => {
    const machine = new TestMachine(mac1, "");
    await machine.link();
    await new TestMachine(mac2, "", uuid2).link();
    const channels = [mac1, mac2].map((mac, i) => ({ channel: i + 1, mac, ipv4Address: "", remark: "" }));
    const { agent } = await machine.begin();
    const refused = await refusal(agent.report({ ...machine.facts, mac: mac2, channel: 2, channels }));
    expect(refused).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect((await rows()).map(({ mac, machineUuid }) => [mac, machineUuid])).toEqual([
      [mac1, uuid],
      [mac2, uuid2],
    ]);
  });

  test("whose board was replaced by one with the same UUID is linked at once; the old row is for the operator", async () => {
    await new TestMachine(mac1, "S-1").link();
    await new TestMachine(mac2, "S-2").link();
    await remove(mac1);
    expect(await rows()).toMatchObject([{ mac: mac2, state: State.STATE_LINKED, warnings: [] }]);
  });
});

describe("a machine whose BMC is locked in-band", () => {
  async function locked(mac: string, machine = new TestMachine(mac1, "S-1")) {
    const { agent } = await machine.begin();
    if (mac !== "none")
      await agent.report(factsOf(mac, { channel: mac === "" ? 0 : 1, channels: [], ipv4Address: "" }));
    await agent.abort("set account", "D4h", true);
    return agent;
  }

  test("has a row that says what to type", async () => {
    await locked(mac1);
    const [row] = await rows();
    expect(row).toMatchObject({ key: mac1, state: State.STATE_LOCKED });
    expect(row?.stateReason).toContain(
      `operator must give credentials: bmcctl update ${mac1} --user NAME --password-file FILE`,
    );
    const { agent } = await new TestMachine(mac1, "S-1").boot();
    await agent.abort("inspect BMC", "no answer");
    const [later] = await rows();
    expect(later).toMatchObject({ key: mac1, state: State.STATE_LOCKED });
    expect(later?.stateReason).toMatch(
      /operator must give credentials: bmcctl update .* step "inspect BMC": no answer/,
    );
    const { bmc: client } = service.operator;
    const refused = await refusal(call(client, client.getPower, { mac: mac1 }));
    expect(refused).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(refused.details).toContain("operator must give credentials");
  });

  test.each(["", "none"])("has a row without MAC too (reported: %j)", async (mac) => {
    await locked(mac);
    await locked(mac);
    const [row, ...more] = await rows();
    expect(more).toEqual([]);
    expect(row).toMatchObject({ key: uuid, mac: "", machineUuid: uuid, state: State.STATE_LOCKED });
    expect(row?.stateReason).toMatch(/in-band access is locked.*bmcctl update .* --address HOST.*D4h/);
    expect(row?.facts?.firmwareVersion).toBe(mac === "" ? "9.08" : undefined);
    // A later boot that reads more takes its place.
    await new TestMachine(mac1, "S-1").link();
    expect(await keys()).toEqual([mac1]);
  });

  test("and tells nothing any more stays linked to what it was", async () => {
    const machine = new TestMachine(mac1, "S-1");
    await machine.link();
    const agent = await locked("", machine);
    expect(await rows()).toMatchObject([{ key: mac1, state: State.STATE_LINKED, facts: { channel: 1 } }]);
    expect((await rows())[0]?.stateReason).toContain("the account that the service knows stays in use");
    expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  });
});
