import { hash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccountState, type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type Clients, call, refusal } from "../fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, mac2, namesOf, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

const guid = "00112233445566778899aabbccddeeff";
const name = "rivetab12cd34ef";
const {
  ACCOUNT_STATE_VERIFIED: verified,
  ACCOUNT_STATE_RETIRED: retired,
  ACCOUNT_STATE_REFUSED: refused,
} = AccountState;
let site: Site;
let bmc: FakeBmc;
let service: TestService;

beforeEach(async () => {
  site = await newSite();
  bmc = linkedBmc();
  service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, name, canary, factsOf(mac1, { guid }));
  expect(namesOf(await agent.handOff()).at(-1)).toBe("handedOff");
  bmc.commands.length = 0;
  bmc.logins.length = 0;
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

function linkedBmc(password = canary): FakeBmc {
  const made = new FakeBmc(mac1);
  made.guid = guid;
  made.users.push({ slot: 2, name: "ADMIN", password: "Theirs-1234" }, { slot: 3, name, password });
  return made;
}

const rotate = ({ bmc: client }: Clients = service.operator) => call(client, client.rotateAccount, { mac: mac1 });

async function accounts({ bmc: client }: Clients = service.operator) {
  return (await call(client, client.listAccounts, { mac: mac1, showSecrets: true })).accounts;
}

async function row({ bmc: client }: Clients = service.operator): Promise<Bmc | undefined> {
  return (await call(client, client.getBmc, { key: mac1, showSecrets: false })).bmc;
}

async function history() {
  const { bmc: client } = service.operator;
  const { entries } = await call(client, client.listHistory, { key: mac1, limit: 50 });
  return entries.map(({ actor, action, detail }) => `${actor}: ${action}: ${detail}`);
}

const passwordOnBmc = (of = bmc) => of.users.find((user) => user.name === name)?.password ?? "";

/** Of others, who are not to be touched. */
const foreign = (of = bmc) => of.users.find((user) => user.name === "ADMIN")?.password;

describe("RotateAccount", () => {
  test("gives the account a new password, proves it and retires the old one", async () => {
    const { bmc: answered } = await rotate();
    expect(answered).toMatchObject({
      state: State.STATE_LINKED,
      stateReason: "",
      account: { userName: name, slot: 3, password: "" },
    });
    const [fresh, old, ...more] = await accounts();
    expect(more).toEqual([]);
    expect(fresh).toMatchObject({ userName: name, slot: 3, state: verified });
    expect(old).toMatchObject({ userName: name, password: canary, state: retired });
    expect(fresh?.password).toBe(passwordOnBmc());
    expect(fresh?.password).toMatch(/^(?=.*[A-Z].*[A-Z])(?=.*[a-z].*[a-z])(?=.*\d.*\d)[A-Za-z].{15}$/);
    expect(fresh?.password).not.toBe(canary);
    expect(foreign()).toBe("Theirs-1234");
    // Once to prove the old one, once to write, once to prove the new one.
    expect(bmc.logins).toHaveLength(3);
    expect(bmc.commands.filter((each) => each === "Set User Password")).toHaveLength(1);
    expect(bmc.openSessions).toBe(0);
  });

  test("says in history and audit log who did it, and tells nobody the password", async () => {
    await rotate();
    const said = await history();
    expect(said[0]).toBe(`operator: rotated: account "${name}" in slot 3: new password of 16 characters in 16 bytes`);
    expect(said).toContain(`operator: escrowed: new password of account "${name}" in slot 3`);
    const { bmc: admin } = service.admin;
    const { entries } = await call(admin, admin.listAudit, { limit: 10, key: mac1, before: 0n });
    expect(entries.filter(({ action }) => action === "RotateAccount")).toHaveLength(2);
    const told = JSON.stringify([said, entries], (_key, value) => (typeof value === "bigint" ? `${value}` : value));
    expect(told + service.log.join("")).not.toContain(passwordOnBmc());
  });

  test("is done again and again, each time with another password", async () => {
    await rotate();
    const first = passwordOnBmc();
    await rotate();
    expect(passwordOnBmc()).not.toBe(first);
    expect((await accounts()).map(({ state }) => state)).toEqual([verified, retired, retired]);
  });

  test("two at once take turns", async () => {
    await Promise.all([rotate(), rotate()]);
    expect(bmc.mostOpenSessions).toBe(1);
    const [fresh] = await accounts();
    expect(fresh).toMatchObject({ state: verified, password: passwordOnBmc() });
  });

  test("a call that waited for its end goes in with the new password", async () => {
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const rotated = rotate();
    await expect.poll(() => bmc.logins).toHaveLength(1);
    const { bmc: client } = service.operator;
    const asked = call(client, client.getPower, { mac: mac1 });
    // The rotation is in its first login until both are there.
    await call(client, client.listBmcs, {});
    gate.resolve();
    await rotated;
    expect(await asked).toMatchObject({ powerOn: true });
  });

  /** A rotation whose caller goes when `when` tells it to. */
  function interruptedRotation(when: (go: () => void) => void): Promise<number | undefined> {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const { bmc: client } = service.operator;
    const asked = client.rotateAccount({ mac: mac1 }, (error) => resolve(error?.code));
    when(() => asked.cancel());
    return promise;
  }

  test("goes on to its end when the caller has gone after something was written", async () => {
    const code = await interruptedRotation((go) => {
      bmc.onCommand = (command) => command === "Set User Password" && go();
    });
    expect(code).toBe(status.CANCELLED);
    await expect.poll(async () => (await accounts()).map(({ state }) => state)).toEqual([verified, retired]);
    expect((await accounts())[0]?.password).toBe(passwordOnBmc());
    expect(await row()).toMatchObject({ state: State.STATE_LINKED });
  });

  test("does not begin when the caller has gone before", async () => {
    const gate = Promise.withResolvers<void>();
    bmc.gate = gate.promise;
    const code = await interruptedRotation((go) => {
      bmc.onLogin = go;
    });
    expect(code).toBe(status.CANCELLED);
    await expect.poll(() => service.log.join("")).toContain('"code":"CANCELLED"');
    gate.resolve();
    expect(passwordOnBmc()).toBe(canary);
    expect((await accounts()).map(({ state }) => state)).toEqual([verified]);
  });

  test("a service that is stopped brings it to its end", async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    bmc.onCommand = (command) => command === "Set User Password" && resolve();
    const rotated = rotate();
    await begun;
    await service.running.stop();
    expect((await rotated).bmc?.state).toBe(State.STATE_LINKED);
    expect(passwordOnBmc()).not.toBe(canary);
    expect(service.log.join("")).toContain('"msg":"stopped"');
  });

  test("a viewer may not", async () => {
    expect(await refusal(rotate(service.viewer))).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(passwordOnBmc()).toBe(canary);
  });

  test("climbs the forms while the BMC refuses, each password stored before", async () => {
    bmc.takesPassword = (text) => text.length === 20;
    await rotate();
    const all = await accounts();
    expect(all.map(({ state }) => state)).toEqual([verified, refused, refused, retired]);
    expect(all[0]?.password).toHaveLength(20);
    expect(all[0]?.password).toBe(passwordOnBmc());
    expect(new Set(all.map(({ password }) => password)).size).toBe(4);
  });

  test("begins with the form that this BMC took", async () => {
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { guid }));
    const id = await agent.escrow(mac1, name, `${canary}-20x`);
    await agent.confirm(id, 3, PasswordForm.PASSWORD_FORM_TWENTY);
    Object.assign(bmc.users[1] ?? {}, { password: `${canary}-20x` });
    await agent.handOff();
    await rotate();
    expect(passwordOnBmc()).toHaveLength(20);
  });

  test("keeps the old password where the BMC takes no new one", async () => {
    bmc.takesPassword = () => false;
    const said = await refusal(rotate());
    expect(said).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(said.details).toContain("The old one is in use still");
    expect(bmc.commands.filter((each) => each === "Set User Password")).toHaveLength(8);
    expect(await row()).toMatchObject({ state: State.STATE_LINKED });
    const old = (await accounts()).find(({ state }) => state === verified);
    expect(old?.password).toBe(canary);
    expect((await history()).join("\n")).toContain(
      `operator: rotation failed: BMC ${mac1} took no new password: 16 characters`,
    );
  });

  test("a command that the BMC does not allow is sent once", async () => {
    bmc.completionCodes.set("Set User Password", 0xd4);
    expect(await refusal(rotate())).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(bmc.commands.filter((each) => each === "Set User Password")).toHaveLength(1);
    expect(await row()).toMatchObject({ state: State.STATE_LINKED });
  });

  test("a BMC that says yes and keeps the old password is found out", async () => {
    bmc.forgetsPasswords = true;
    expect((await refusal(rotate())).details).toContain("The old one is in use still");
    expect((await accounts()).find(({ state }) => state === verified)?.password).toBe(canary);
  });

  test("a lost answer is resolved by a login", async () => {
    bmc.lostAnswers.add("Set User Password");
    await rotate();
    expect((await accounts())[0]).toMatchObject({ state: verified, password: passwordOnBmc() });
    expect(passwordOnBmc()).not.toBe(canary);
  });

  test("a BMC that does not answer: UNAVAILABLE, and nothing is changed", async () => {
    bmc.deafFor = 100;
    expect(await refusal(rotate())).toMatchObject({ code: "UNAVAILABLE" });
    bmc.deafFor = 0;
    expect(await row()).toMatchObject({ state: State.STATE_LINKED });
    expect((await accounts()).map(({ state }) => state)).toEqual([verified]);
    expect(passwordOnBmc()).toBe(canary);
  });

  test("a BMC that falls silent after the change: both are kept, and the next rotation settles it", async () => {
    bmc.onCommand = (command) => {
      if (command === "Set User Password") bmc.deafFor = 100;
    };
    expect(await refusal(rotate())).toMatchObject({ code: "UNAVAILABLE" });
    expect(await row()).toMatchObject({ state: State.STATE_FAILED });
    expect((await accounts()).map(({ password }) => password)).toEqual([passwordOnBmc(), canary]);
    bmc.onCommand = () => undefined;
    bmc.deafFor = 0;
    await rotate();
    expect((await accounts())[0]).toMatchObject({ state: verified, password: passwordOnBmc() });
  });

  test("another BMC at the address is not written to", async () => {
    bmc.mac = mac2;
    expect(await refusal(rotate())).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(passwordOnBmc()).toBe(canary);
  });

  test("an account that was moved is followed; who has its place is left alone", async () => {
    bmc.users.splice(0, 2, { slot: 3, name: "ADMIN", password: "Theirs-1234" }, { slot: 5, name, password: canary });
    await rotate();
    expect(foreign()).toBe("Theirs-1234");
    expect((await accounts())[0]).toMatchObject({ slot: 5, password: passwordOnBmc() });
  });

  test("nothing is written where the BMC does not tell who has the user ID", async () => {
    bmc.completionCodes.set("Get User Name", 0xd4);
    expect(await refusal(rotate())).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(passwordOnBmc()).toBe(canary);
  });

  test("an account that an operator gave is theirs", async () => {
    const { bmc: client } = service.operator;
    const account = { userName: "ADMIN", password: Buffer.from("Theirs-1234") };
    await call(client, client.updateBmc, { mac: mac1, drivers: [], account, address: "" });
    const said = await refusal(rotate());
    expect(said.code).toBe("PERMISSION_DENIED");
    expect(said.details).toContain('given by operator "operator"');
    expect(said.details).toContain("change it on the BMC, and give it again by bmcctl update");
    expect(foreign()).toBe("Theirs-1234");
  });

  test("not while the machine enrols", async () => {
    const agent = new EnrollingAgent(service.agent);
    await agent.begin(uuid1);
    await agent.report(factsOf(mac1, { guid }));
    await agent.escrow(mac1, name, `${canary}2`);
    expect(await refusal(rotate())).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect((await accounts())[0]?.state).toBe(AccountState.ACCOUNT_STATE_ESCROWED);
  });
});

describe("the service is killed in the middle of a rotation", () => {
  const policies: [string, (text: string) => boolean][] = [
    ["at every instant: started again, it knows the password and settles the row", () => true],
    ["at every instant, on a BMC that refuses the first two passwords", (text) => text.length === 20],
  ];
  test.each(policies)("%s", async (_title, takesPassword) => {
    bmc.takesPassword = takesPassword;
    const copies = mkdtempSync(join(tmpdir(), "bmc-service-killed-"));
    const killed: { at: string; data: string; password: string }[] = [];
    // What is in the files at that instant is what a killed process leaves.
    const seen = new Set<string>();
    const keep = (at: string) => {
      const files = readdirSync(site.data).map((file) => readFileSync(join(site.data, file)).toString("latin1"));
      const now = hash("sha256", [passwordOnBmc(), ...files].join());
      if (seen.has(now)) return;
      seen.add(now);
      const data = join(copies, `${killed.length}`);
      cpSync(site.data, data, { recursive: true });
      killed.push({ at, data, password: passwordOnBmc() });
    };
    try {
      bmc.onLogin = () => keep("login");
      bmc.onCommand = (command) => keep(`before ${command}`);
      bmc.onAnswer = (command) => keep(`after ${command}`);
      await rotate();
      keep("end");
      expect(new Set(killed.map(({ password }) => password)).size).toBe(2);
      expect(killed.map(({ at }) => at)).toContain("after Set User Password");
      for (const { at, data, password } of killed) {
        const again = linkedBmc(password);
        again.takesPassword = takesPassword;
        await using restarted = await startTestService({ ...site, data }, again.connect);
        await expect.poll(async () => (await row(restarted.operator))?.state, { message: at }).toBe(State.STATE_LINKED);
        const inUse = (await accounts(restarted.operator)).filter(({ state }) => state === verified);
        expect(
          inUse.map((each) => each.password),
          at,
        ).toEqual([password]);
        await rotate(restarted.operator);
        expect((await accounts(restarted.operator))[0], at).toMatchObject({
          state: verified,
          password: passwordOnBmc(again),
        });
        expect(foreign(again), at).toBe("Theirs-1234");
      }
    } finally {
      rmSync(copies, { recursive: true });
    }
  });
});
