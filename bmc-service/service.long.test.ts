import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccountState, State } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type Clients, call, connectClients, refusal } from "./fixture/clients.ts";
import { canary, EnrollingAgent, factsOf, mac1, namesOf, uuid1 } from "./fixture/enrolling.ts";
import { FakeBmc } from "./fixture/fake-bmc.ts";
import { newSite, type Site, startTestService } from "./fixture/service.ts";
import { HealthServer } from "./health-server.ts";
import { newLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { StoreError } from "./store/store-error.ts";

let site: Site;

beforeEach(async () => {
  site = await newSite();
});

afterEach(() => site[Symbol.dispose]());

const rowOf = async ({ bmc }: Clients, key: string) => (await call(bmc, bmc.getBmc, { key, showSecrets: true })).bmc;

/** The real program as its own process. */
async function startProgram() {
  const args = ["serve", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--data", site.data, "--pki", site.pki];
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await expect.poll(() => output, { timeout: 8_000 }).toContain('"listening"');
  const ports = /"listen":"127\.0\.0\.1:(\d+)","health":"127\.0\.0\.1:(\d+)"/.exec(output);
  const ended = once(child, "exit");
  return { child, port: Number(ports?.[1]), healthPort: Number(ports?.[2]), ended, log: () => output };
}

test("an account in escrow survives kill -9 in the moment after the answer", async () => {
  const first = await startProgram();
  const agents = connectClients(first.port, site.pki, "agent");
  const agent = new EnrollingAgent(agents);
  await agent.begin(uuid1);
  await agent.report(factsOf(mac1));
  const id = await agent.escrow(mac1, "rivetab12", canary);
  first.child.kill("SIGKILL");
  await first.ended;
  agents[Symbol.dispose]();

  const second = await startProgram();
  using operator = connectClients(second.port, site.pki, "operator");
  using again = connectClients(second.port, site.pki, "agent");
  const row = await rowOf(operator, mac1);
  expect(row?.account).toMatchObject({ id, userName: "rivetab12", password: canary, slot: 3 });
  // The session token is still good.
  const resumed = new EnrollingAgent(again);
  resumed.sessionToken = agent.sessionToken;
  await resumed.confirm(id);
  expect((await rowOf(operator, mac1))?.state).toBe(State.STATE_CONFIRMED);

  const health = await fetch(`http://127.0.0.1:${second.healthPort}/healthz`);
  expect([health.status, await health.text()]).toEqual([200, "ok\n"]);
  second.child.kill("SIGTERM");
  expect(await second.ended).toEqual([0, null]);
  expect(second.log()).toContain('"stopped"');
  expect(first.log() + second.log()).not.toContain(canary);
});

test.runIf(existsSync("/dev/full"))("a full disk under the log ends nothing (needs /dev/full)", async () => {
  const args = ["serve", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--data", site.data, "--pki", site.pki];
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = once(child, "exit");
  await expect.poll(() => said, { timeout: 8_000 }).toContain("the disk is full (ENOSPC); the service goes on");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

test("the password is in no log line, no error, no metric and no byte of the database", async () => {
  const bmc = new FakeBmc(mac1);
  bmc.users.push({ slot: 3, name: "rivetab12", password: canary });
  const service = await startTestService(site, bmc.connect);
  const errors: unknown[] = [];
  const keep = (error: unknown) => errors.push(error);
  const agent = new EnrollingAgent(service.agent);
  await agent.begin(uuid1);
  const { sessionToken } = agent;
  await agent.escrow(mac1, "rivetab12", canary).catch(keep);
  await agent.report(factsOf(mac1));
  await agent.escrow(mac1, "rivetab12", `${canary}-too-long`).catch(keep);
  await agent.escrow(mac1, "root", canary).catch(keep);
  const id = await agent.escrow(mac1, "rivetab12", canary);
  await agent.confirm(id);
  const events = [];
  bmc.deafFor = 100;
  events.push(...(await agent.handOff()));
  bmc.deafFor = 0;
  bmc.users[0]!.password = "another";
  events.push(...(await agent.handOff()));
  bmc.users[0]!.password = canary;
  events.push(...(await agent.handOff()));
  expect(namesOf(events).filter((name) => name === "failed")).toHaveLength(2);
  expect(namesOf(events).at(-1)).toBe("handedOff");
  const { bmc: client } = service.operator;
  const shown = await call(client, client.listAccounts, { mac: mac1, showSecrets: true });
  expect(shown.accounts[0]).toMatchObject({ password: canary, state: AccountState.ACCOUNT_STATE_VERIFIED });
  const hidden = [
    await call(client, client.listBmcs, {}),
    await call(client, client.getBmc, { key: mac1, showSecrets: false }),
    await call(client, client.listAccounts, { mac: mac1, showSecrets: false }),
    await call(client, client.listHistory, { key: mac1, limit: 0 }),
  ];
  const metrics = await (await fetch(`http://127.0.0.1:${service.running.healthPort}/metrics`)).text();
  expect(metrics).toContain('bmc_service_hand_offs_total{result="handed_off"} 1');
  expect(metrics).toContain('bmc_service_lan_logins_total{result="wrong_password"} 1');
  expect(metrics).toContain('bmc_service_bmcs{state="linked"} 1');

  const text = (value: unknown) => JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? `${each}` : each));
  const said = [
    ...service.log,
    metrics,
    text(hidden),
    text(events),
    ...errors.map((error) => `${String(error)} ${text(error)}`),
  ];
  // While it runs, with the write-ahead log, and after.
  const stored = () => readdirSync(site.data).map((name) => readFileSync(join(site.data, name)));
  const files = stored();
  await service[Symbol.asyncDispose]();
  files.push(...stored());
  for (const secret of [canary, sessionToken]) {
    expect(said.filter((each) => each.includes(secret))).toEqual([]);
    expect(files.filter((each) => each.includes(secret))).toEqual([]);
    const base64 = Buffer.from(secret).toString("base64").slice(0, 16);
    expect(said.filter((each) => each.includes(base64))).toEqual([]);
  }
  expect(service.log.length).toBeGreaterThan(10);
  const call1 = service.log.map((line) => JSON.parse(line)).find(({ rpc }) => rpc === "EnrolmentService/ReportBmc");
  expect(call1).toMatchObject({ role: "agent", machine: uuid1, mac: mac1, code: "OK" });
  expect(call1.durationMs).toBeGreaterThanOrEqual(0);
});

test("a stop waits for what runs, and tells watchers", async () => {
  const bmc = new FakeBmc(mac1);
  const service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", canary);
  bmc.users.push({ slot: 3, name: "rivetab12", password: canary });
  const gate = Promise.withResolvers<void>();
  bmc.gate = gate.promise;
  const handedOff = agent.handOff();
  await expect.poll(() => bmc.logins.length).toBe(1);
  const watcher = service.operator.bmc.watchBmcs({});
  const watched = once(watcher, "data");
  const told = once(watcher, "error");
  await watched;
  watcher.resume();
  const stopped = service.running.stop();
  gate.resolve();
  expect(namesOf(await handedOff).at(-1)).toBe("handedOff");
  expect(String(await told)).toContain("the service is stopping");
  await stopped;
});

test("a hand-off that the stop cuts off says nothing about the BMC", async () => {
  const bmc = new FakeBmc(mac1);
  const service = await startTestService(site, bmc.connect);
  const agent = new EnrollingAgent(service.agent);
  await agent.enrol(uuid1, mac1, "rivetab12", canary);
  bmc.gate = Promise.withResolvers<void>().promise;
  const handedOff = refusal(agent.handOff());
  await expect.poll(() => bmc.logins.length).toBe(1);
  await service.running.stop(20);
  expect(await handedOff).toMatchObject({ code: "UNAVAILABLE" });
  const next = await startTestService(site, bmc.connect);
  expect(await rowOf(next.operator, mac1)).toMatchObject({ state: State.STATE_CONFIRMED, stateReason: "" });
  await next[Symbol.asyncDispose]();
});

test("a service that was stopped answers nobody", async () => {
  const service = await startTestService(site, new FakeBmc(mac1).connect);
  await service.running.stop();
  const { bmc } = service.operator;
  expect(await refusal(call(bmc, bmc.listBmcs, {}))).toMatchObject({ code: "UNAVAILABLE" });
});

test("the health port answers nothing else", async () => {
  const service = await startTestService(site, new FakeBmc(mac1).connect);
  const url = `http://127.0.0.1:${service.running.healthPort}`;
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/healthz`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${url}/metrics`)).headers.get("content-type")).toContain("text/plain");
  await service[Symbol.asyncDispose]();
});

test("the health check fails with the database", async () => {
  const log: string[] = [];
  const failing = new HealthServer({
    metrics: new Metrics(),
    log: newLog("info", { write: (line) => void log.push(line) }),
    probe: async () => {
      throw new StoreError("unwritable", "database x: the disk answers with errors");
    },
    stopping: () => false,
  });
  const port = await failing.listen({ host: "127.0.0.1", port: 0 });
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  expect([answer.status, await answer.text()]).toEqual([503, "database x: the disk answers with errors\n"]);
  expect(log.join("")).toContain("health check failed");
  await failing[Symbol.asyncDispose]();
});
