import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { call, refusal } from "../../bmc-service/fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, uuid1, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import { defaultLimits, type Limits } from "../../bmc-service/rpc/limits.ts";
import { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Answers, Flood } from "./flooder.ts";
import { type AttackedSite, attackedSite } from "./site.ts";

let site: AttackedSite;
const started = async (limits: Partial<Limits> = {}) => {
  site = await attackedSite({ limits: { ...defaultLimits, ...limits } });
};
afterEach(() => site[Symbol.asyncDispose]());

const clients = 20;
const begins = 7;

/** Milliseconds of a Begin with a good token, with its connection and certificate; the median. */
async function medianMs(from: number): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < begins; i += 1) {
    const machine = await site.machine(`5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d2${from + i}`);
    const { text } = await site.token(machine.uuid);
    const started = performance.now();
    await machine.beginWith(text);
    all.push(performance.now() - started);
  }
  return all.toSorted((a, b) => a - b)[(begins - 1) / 2] ?? 0;
}

test("20 clients that flood the service with bad Begins keep no good ones from it, nor fill log and disk", async () => {
  await started();
  const before = await site.state();
  const quiet = await medianMs(100);
  const workerData: Flood = { port: site.service.running.port, pki: site.pki, clients };
  const flood = new Worker(new URL("./flooder.ts", import.meta.url), { workerData });
  const failed = new Promise<never>((_, reject) => flood.on("error", reject));
  let answers: Answers = {};
  flood.on("message", (told: Answers) => {
    answers = told;
  });
  const exhausted = () => answers.RESOURCE_EXHAUSTED ?? 0;
  try {
    while (exhausted() < clients) await Promise.race([wait(20), failed]);
    const [already, started] = [exhausted(), performance.now()];
    const flooded = await medianMs(200);
    // Each client gets an answer a second; twice that, because answers come in waves.
    const seconds = (performance.now() - started) / 1_000;
    expect(exhausted() - already).toBeLessThanOrEqual(clients * (seconds + 1) * 2);
    // Side by side, on a machine that has other work too. Without limit it was 15 times as long.
    expect(flooded / quiet).toBeLessThan(6);
  } finally {
    await flood.terminate();
  }
  // Wrong tokens are counted for each address: 60 at once and in a minute, then callers are told to wait.
  expect(Object.keys(answers).toSorted()).toEqual(["RESOURCE_EXHAUSTED", "UNAUTHENTICATED"]);
  expect(answers.UNAUTHENTICATED).toBeLessThan(120);
  const refused = site.service.log.map((line) => JSON.parse(line)).filter(({ code }) => code !== "OK");
  expect(refused.filter(({ attack }) => attack === "enrolment token").length).toBeLessThanOrEqual(60);
  const told = refused.filter(({ attack }) => attack === "flood");
  expect(told.length).toBeGreaterThanOrEqual(clients);
  expect(told.length).toBeLessThanOrEqual(60);
  expect(told[0].details).toMatch(/^too many wrong enrolment tokens; try again in \d+ s$/);
  expect(await site.state()).toBe(before);
}, 60_000);

/** Who has the certificate that all agents share. */
const stranger = () => new EnrollingAgent(site.service.agent);
const uuidOf = (number: number) => `5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d3${number.toString(16).padStart(3, "0")}`;
const macOf = (number: number) => `52:54:00:b2:00:${number.toString(16).padStart(2, "0")}`;
const exhausted = (details: RegExp) => ({ code: "RESOURCE_EXHAUSTED", details: expect.stringMatching(details) });
const keys = async () => {
  const { bmc: client } = site.service.operator;
  return (await call(client, client.listBmcs, {})).bmcs.map(({ mac, machineUuid }) => mac || machineUuid);
};
const isFlood = () => expect(site.attacks()).toContainEqual(expect.objectContaining({ attack: "flood" }));

describe("one session", () => {
  test("makes a few rows, however many MAC addresses it reports", async () => {
    await started();
    const agent = stranger();
    await agent.begin(uuid2);
    for (let i = 0; i < 4; i += 1) await agent.report(factsOf(macOf(i)));
    expect(await refusal(agent.report(factsOf(macOf(4))))).toEqual(exhausted(/reported 4 other MAC addresses/));
    await agent.report(factsOf(macOf(3)));
    expect(await keys()).toEqual([mac1, 0, 1, 2, 3].map((each) => (each === mac1 ? each : macOf(Number(each)))));
    isFlood();
  });

  test("reports more text than is kept; the rows stay small, and are read in pages", async () => {
    await started();
    const agent = stranger();
    await agent.begin(uuid2);
    const findings = Array.from({ length: 25 }, () => "x".repeat(8_000));
    for (let i = 0; i < 4; i += 1) await agent.report(factsOf(macOf(i), { findings }));
    const { bmc: client } = site.service.viewer;
    const found: Bmc[] = [];
    let pageToken = "";
    do {
      const { bmcs, nextPageToken = "" } = await call(client, client.listBmcs, { pageSize: 2, pageToken });
      expect(bmcs.length).toBeLessThanOrEqual(2);
      found.push(...bmcs);
      pageToken = nextPageToken;
    } while (pageToken !== "");
    expect(found.map(({ mac }) => mac)).toEqual(
      [mac1, 0, 1, 2, 3].map((each) => (each === mac1 ? each : macOf(Number(each)))),
    );
    for (const row of found) expect(Bmc.encode(row).finish().length).toBeLessThan(20_000);
  });

  test("makes so many accounts, and no more", async () => {
    await started();
    const agent = stranger();
    await agent.begin(uuid2);
    await agent.report(factsOf(macOf(1)));
    for (let i = 0; i < 32; i += 1) await agent.escrow(macOf(1), `rivet${i}`, `Evil-password-${i + 10}`);
    expect(await refusal(agent.escrow(macOf(1), "rivetlast", "Evil-password-99"))).toEqual(
      exhausted(/has 32 accounts of BMC .* gets no more/),
    );
    isFlood();
  });

  test("calls so often, and another one is not held up by that", async () => {
    await started({ callsPerMinute: 10 });
    const [agent, other] = [stranger(), stranger()];
    await agent.begin(uuid2);
    const calls = await Promise.allSettled(Array.from({ length: 30 }, () => agent.report(factsOf(macOf(1)))));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    expect(await refusal(agent.report(factsOf(macOf(1))))).toEqual(exhausted(/calls too often; try again in \d+ s/));
    await other.begin(uuidOf(1));
    await other.report(factsOf(macOf(2)));
  });
});

describe("one certificate", () => {
  test("brings so many new machines from one address in a day; those that are known and those of others go on", async () => {
    await started({ newMachinesPerDay: 3 });
    // Boards with one UUID are machines of their own, too.
    for (const board of ["S-1", "S-2", "S-3"]) await stranger().begin(uuid2, board);
    expect(await refusal(stranger().begin(uuidOf(1)))).toEqual(exhausted(/too many new machines.*--max-new-machines/));
    isFlood();
    await stranger().begin(uuid2, "S-1");
    const other = await site.machine(uuidOf(2));
    await other.beginWith((await site.token(uuidOf(2))).text);
    await other.goOn().report(factsOf(macOf(2)));
  });

  test("brings so many new BMCs, by however many boots of one machine", async () => {
    await started({ newMachinesPerDay: 2 });
    const report = async (number: number) => {
      const agent = stranger();
      await agent.begin(uuid2);
      await agent.report(factsOf(macOf(number)));
    };
    await report(1);
    await report(2);
    expect(await refusal(report(3))).toEqual(exhausted(/too many new BMCs/));
    await report(2);
    expect(await keys()).toEqual([mac1, macOf(1), macOf(2)]);
  });

  test("finds no room for new machines when there are as many as may be; those that are known go on", async () => {
    await started({ machines: 2 });
    await stranger().begin(uuidOf(1));
    expect(await refusal(stranger().begin(uuidOf(2)))).toEqual(exhausted(/there are 2 machines.*--max-machines/));
    const other = stranger();
    await other.begin(uuidOf(1));
    await other.report(factsOf(macOf(1)));
    expect(await refusal(other.report(factsOf(macOf(2))))).toEqual(exhausted(/there are 2 BMCs already/));
    const known = await site.machine(uuid1);
    await known.beginWith((await site.token(uuid1)).text);
    await known.goOn().report(factsOf(mac1));
  });
});

test("one address begins so many enrolments, also if it gives each of them up", async () => {
  await started({ sessionsPerAddress: 4 });
  // The first one has linked the victim.
  for (let i = 0; i < 3; i += 1) await stranger().begin(uuid2);
  expect(await refusal(stranger().begin(uuid2))).toEqual(exhausted(/from 127.0.0.1 \(--max-sessions-per-address\)/));
  isFlood();
});

test("sessions that were given up count until their time is over", async () => {
  await started({ sessions: 3 });
  for (let i = 0; i < 2; i += 1) await stranger().begin(uuid2);
  expect(await refusal(stranger().begin(uuid2))).toEqual(exhausted(/there are 3 sessions \(--max-sessions\)/));
  const metrics = await site.service.metrics();
  for (const [what, number] of [
    ["sessions", 3],
    ["machines", 2],
    ["bmcs", 1],
  ]) {
    expect(metrics).toContain(`bmc_service_stored{what="${what}"} ${number}\n`);
  }
});

test("tokens that open nothing are counted by address, whichever they are, and cost no look at the request for a certificate", async () => {
  await started({ wrongTokensPerMinute: 3 });
  const { text: spent } = await site.token(uuid2);
  await (await site.machine(uuid2)).beginWith(spent);
  const { text: foreign } = await site.token(uuid2);
  const thief = await site.machine(uuidOf(1));
  // Would be refused for itself if anybody looked.
  const certificateRequest = Buffer.from("no request");
  for (const text of [spent, foreign, `rvt_${"0".repeat(48)}`]) {
    expect(await refusal(thief.beginWith(text, { certificateRequest }))).toMatchObject({ code: "UNAUTHENTICATED" });
  }
  expect(await refusal(thief.beginWith(spent))).toEqual(exhausted(/too many wrong enrolment tokens/));
  await thief.beginWith((await site.token()).text);
});
