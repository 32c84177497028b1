import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FakeStick } from "../../agent/stick/fake-stick.fixture.ts";
import { withOfflineFallback } from "../../agent/stick/offline-fallback.ts";
import { offlineService } from "../../agent/stick/offline-service.ts";
import { defaultLimits, type World } from "../../agent/world.ts";
import { openPassword } from "../../bmc-service/import/open-password.ts";
import { addReportKey, type ReportKey } from "../../bmc-service/import/report-keys.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { Report } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { ReportError, readReport } from "../../proto/report-json.ts";
import { reportKeyText } from "../../proto/report-seal.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { nameText, sameBytes } from "../simulator/users.ts";
import { fakeClock } from "./fake-clock.ts";
import { type BootOptions, Machine, machineUuid } from "./machine.ts";

let directory: string;
let key: ReportKey;
let machine: Machine;
let stick: FakeStick;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "stick-"));
  key = await addReportKey(join(directory, "report.key"));
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  machine = new Machine();
  stick = new FakeStick();
});

const path = `reports/${machineUuid}.json`;

function offline(clock = fakeClock()) {
  const policy = { userNamePrefix: "rivet", privilege: 4 };
  const note = (text: string) => machine.notes.push(text);
  return offlineService({
    medium: stick,
    reportKey: reportKeyText(key.publicKey),
    policy,
    clock,
    limitMs: 5_000,
    note,
  });
}

function boot(options: BootOptions = {}) {
  const { world, ...more } = options;
  return machine.boot({ ...more, world: { connectService: async () => offline(), ...world } });
}

/** Every report that lies on the stick, under any name. */
function reports(): Report[] {
  return [...stick.files.values()].flatMap((bytes) => {
    try {
      return [readReport(bytes)];
    } catch (error) {
      if (!(error instanceof ReportError)) throw error;
      return [];
    }
  });
}

const opened = new Map<string, Promise<Buffer>>();
/** The accounts on the stick, as the service would know them after an import. */
async function imported(): Promise<{ userName: string; password: Buffer }[]> {
  const accounts = reports().flatMap((report) => report.accounts);
  return await Promise.all(
    accounts.map(async (account) => {
      const password = opened.get(account.id) ?? openPassword(machineUuid, account, [key]);
      opened.set(account.id, password);
      return { userName: account.userName, password: await password };
    }),
  );
}

/** Names of the accounts with which the service would get in: with any password, for a change may be cut off between the two. */
async function loginsOf(): Promise<string[]> {
  const known = await imported();
  const opens = (userName: string) => known.some(({ password }) => machine.bmc.login(userName, password) === 4);
  return [...new Set(known.map(({ userName }) => userName))].filter(opens);
}

test("the site stands in the report, as it was told last", async () => {
  const settings = { agentVersion: "metal-rivet test", rotate: false, limits: defaultLimits };
  await boot({ world: { settings: { ...settings, site: "Rack 12, Hall B" } } });
  expect(reports()[0]?.machine).toMatchObject({ uuid: machineUuid, site: "Rack 12, Hall B" });
  await boot({ world: { settings: { ...settings, site: "Rack 13" } } });
  expect(reports()[0]?.machine?.site).toBe("Rack 13");
});

test("a machine without network gets an account that the stick holds, sealed, and nobody else can read", async () => {
  const foreign = machine.foreign();
  const ended = await boot();
  expect(ended).toMatchObject({ kind: "unverified", bmc: { slot: 3 } });
  expect(ended).toHaveProperty("reason", expect.stringContaining(`on the stick (${path}): bring it to the service`));
  const [login, ...others] = await imported();
  expect(others).toEqual([]);
  expect(await loginsOf()).toEqual([login?.userName]);
  const text = stick.files.get(path)?.toString() ?? "";
  const password = login?.password ?? Buffer.from("none");
  for (const form of ["latin1", "hex", "base64"] as const) expect(text).not.toContain(password.toString(form));
  const report = reports()[0];
  expect(report).toMatchObject({
    machine: { uuid: machineUuid },
    bmc: { mac: "52:54:00:b1:00:01" },
    inventory: {},
  });
  expect(report?.accounts).toMatchObject([{ userName: login?.userName, slot: 3, proof: 1, channel: 1 }]);
  const slot = machine.bmc.user(3);
  expect(nameText(slot)).toBe(login?.userName);
  expect(JSON.stringify(JSON.parse(foreign).filter(({ id }: { id: number }) => id !== 3))).toBe(
    JSON.stringify(machine.bmc.users.filter(({ id }) => id !== 3)),
  );
});

describe("at the next boot with the stick", () => {
  beforeEach(async () => {
    await boot();
  });
  const names = () => reports()[0]?.accounts.map(({ userName }) => userName) ?? [];

  test("the account is kept with five commands, and the report too", async () => {
    const before = names();
    const state = JSON.stringify(machine.bmc.users);
    const ended = await boot();
    expect(ended).toMatchObject({ kind: "unverified", ipmi: { commands: 5 } });
    expect(JSON.stringify(machine.bmc.users)).toBe(state);
    expect(names()).toEqual(before);
    expect(reports()[0]?.bmc).toMatchObject({ channels: expect.arrayContaining([expect.anything()]) });
  });

  test.each([
    ["it is to be rotated", () => undefined, { rotate: true }],
    ["somebody has closed it", () => Object.assign(machine.bmc.user(3), { enabled: false }), {}],
    ["somebody has lowered its rights", () => Object.assign(machine.bmc.user(3), { privilege: 2 }), {}],
    ["its name is gone", () => Object.assign(machine.bmc.user(3), { name: Buffer.alloc(16) }), {}],
  ])("a new one is made where %s, and the former one stays in the report", async (_why, change, options) => {
    change();
    const [former] = names();
    expect(await boot(options)).toMatchObject({ kind: "unverified" });
    expect(names()).toHaveLength(2);
    expect(names()[0]).toBe(former);
    expect(await loginsOf()).toEqual(names().slice(1));
    expect(machine.bmc.users.filter((user) => user.enabled && nameText(user).startsWith("rivet"))).toHaveLength(1);
  });
});

test("with an empty stick, the account with which a service gets in stays as it is, and the new one lies beside", async () => {
  const online = { world: { connectService: async () => machine.service.client() } };
  expect(await boot(online)).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
  expect(await boot()).toMatchObject({ kind: "unverified", bmc: { slot: 6 } });
  expect(machine.service.opens()).toMatchObject({ slot: 3 });
  expect(await loginsOf()).toHaveLength(1);
});

/** Before and after each IPMI command, and at each instant of each step on the stick. */
function everywhere(instant: () => void | Promise<void>): Partial<World> {
  stick.hook = () => void instant();
  return {
    openBmc: async (): Promise<Transport> => {
      const inner = new SimulatedTransport(machine.bmc);
      return {
        name: inner.name,
        maxRequestBytes: inner.maxRequestBytes,
        exchange: async (message, signal) => {
          await instant();
          const reply = await inner.exchange(message, signal);
          await instant();
          return reply;
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      };
    },
  };
}

/** No account of ours that is open has a password that is not on the stick. */
async function nothingLost(when: string): Promise<void> {
  const known = await imported();
  const names = new Set(known.map(({ userName }) => userName));
  const open = machine.bmc.users.filter((user) => names.has(nameText(user)) && user.enabled && user.ipmiMessaging);
  const isKnown = (bytes: Uint8Array | undefined) =>
    known.some(({ password }) => bytes !== undefined && sameBytes(Buffer.concat([password], 20), bytes));
  for (const user of open)
    expect(isKnown(user.password), `${when}: an open account that the stick does not know`).toBe(true);
}

test.each([
  ["a first enrolment", { rotate: false }],
  ["a rotation", { rotate: true }],
])(
  "power lost at any instant of %s: what opens the BMC is on the stick, and the next boot goes on",
  async (_what, options) => {
    for (let at = 0; ; at += 1) {
      machine = new Machine();
      stick = new FakeStick();
      if (options.rotate) await boot();
      let instants = 0;
      const isCut = () => instants > at;
      const world = everywhere(() => {
        instants += 1;
        if (isCut()) throw new Error("the power is cut");
      });
      await boot({ ...options, world }).catch(() => undefined);
      const isOver = !isCut();
      stick.hook = () => undefined;
      stick.isMounted = false;
      await nothingLost(`instant ${at}`);
      if (options.rotate) expect((await loginsOf()).length, `instant ${at}`).toBeGreaterThan(0);
      expect(await boot(), `instant ${at}`).toMatchObject({ kind: "unverified" });
      expect((await loginsOf()).length, `instant ${at}`).toBeGreaterThan(0);
      if (isOver) return expect(at).toBeGreaterThan(60);
    }
  },
);

describe("the stick pulled", () => {
  test("and put back is waited for, and nothing is lost", async () => {
    const clock = fakeClock();
    let wait = 0;
    stick.hook = (instant) => {
      if (instant.startsWith("after write") && ++wait === 4) stick.problem = "gone";
      if (stick.problem === "gone" && clock.now() > 3_000) stick.problem = undefined;
    };
    expect(await boot({ world: { connectService: async () => offline(clock) } })).toMatchObject({ kind: "unverified" });
    expect(clock.now()).toBeGreaterThan(3_000);
    expect(machine.notes.join("\n")).toContain("gone. Waiting for it for up to 5 s");
    expect(await loginsOf()).toHaveLength(1);
  });

  test("for good at any step of its own: the BMC has nothing that the stick does not know", async () => {
    for (let at = 0; ; at += 1) {
      machine = new Machine();
      stick = new FakeStick();
      stick.hook = () => {
        if (stick.steps.length > at) stick.problem = "gone";
      };
      const failed = await boot().then(
        () => undefined,
        (error: Error) => error,
      );
      await nothingLost(`step ${at}`);
      if (failed === undefined) return expect(at).toBeGreaterThan(40);
      expect(failed.cause, `step ${at}`).toMatchObject({ name: "StickError", problem: "gone" });
    }
  });
});

test.each([
  ["full", { room: 3_000 }],
  ["read-only", { isProtected: true }],
  ["damaged", { forgets: true }],
  ["absent", { problem: "absent" as const }],
])("a stick that is %s is told before anything is written to the BMC", async (problem, state) => {
  Object.assign(stick, state);
  const before = JSON.stringify(machine.bmc.users);
  await expect(boot()).rejects.toMatchObject({ cause: { name: "StickError", problem } });
  expect(JSON.stringify(machine.bmc.users)).toBe(before);
});

describe("where a service is named", () => {
  const unreachable = (error: ServiceError) => ({
    ...machine.service.client(),
    begin: () => Promise.reject(error),
  });
  const bootWith = (error: ServiceError) => {
    const note = (text: string) => machine.notes.push(text);
    const connectService = async () => withOfflineFallback(unreachable(error), async () => offline(), note);
    return boot({ world: { connectService } });
  };

  test("and not reached, the run is kept on the stick, and says why", async () => {
    const ended = await bootWith(new ServiceError("unavailable", "BMC service 10.0.0.1:4443: nobody answers"));
    expect(ended).toMatchObject({ kind: "unverified" });
    expect(machine.notes).toContain(
      "BMC service 10.0.0.1:4443: nobody answers. Going on without a service: the report is kept on the stick",
    );
    expect(machine.service.calls).toEqual([]);
  });

  test.each([
    new ServiceError("refused", "the certificate is not valid"),
    new ServiceError("unavailable", "its store fails", { answered: true }),
  ])("and refuses ($status: $message), the stick is left alone", async (error) => {
    await expect(bootWith(error)).rejects.toMatchObject({ cause: error });
    expect(stick.steps).toEqual([]);
  });

  test("and reached, the stick is not touched", async () => {
    const connectService = async () =>
      withOfflineFallback(
        machine.service.client(),
        async () => offline(),
        () => undefined,
      );
    expect(await boot({ world: { connectService } })).toMatchObject({ kind: "linked" });
    expect(stick.steps).toEqual([]);
  });
});

test("a machine without BMC, and one that is closed, are told by their reports", async () => {
  machine = new Machine({ noBmc: true });
  expect(await boot()).toMatchObject({ kind: "unmanaged" });
  expect(reports()[0]).toMatchObject({ noBmc: { tried: [{ way: "/dev/ipmi0" }] }, bmc: undefined });
  machine = new Machine();
  const faults = [{ on: () => true, effect: { answer: 0xd4 } }];
  const closed = await boot({ faults }).catch((error: Error) => error);
  expect(closed).toMatchObject({ kind: "locked" });
  expect(reports()[0]?.endedEarly).toMatchObject({ inbandLocked: true });
});
