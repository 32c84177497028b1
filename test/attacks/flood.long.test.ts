import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Answers, Flood } from "./flooder.ts";
import { type AttackedSite, attackedSite } from "./site.ts";

let site: AttackedSite;
beforeEach(async () => {
  site = await attackedSite();
}, 60_000);
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
