import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { completeSettings } from "../../agent/config/settings.ts";
import type { Console } from "../../agent/console.ts";
import { begin, type Enrolment } from "../../agent/enrolment.ts";
import { realWorld } from "../../agent/real-world.ts";
import { call } from "../../bmc-service/fixture/clients.ts";
import { factsOf, mac1, machineOf, uuid1, uuid2 } from "../../bmc-service/fixture/enrolling.ts";
import { FakeBmc } from "../../bmc-service/fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../../bmc-service/fixture/service.ts";
import { defaultLimits } from "../../bmc-service/rpc/limits.ts";
import type { ServiceSettings } from "../../bmc-service/service.ts";
import { run } from "../../outband-client/cli/fixture/run.ts";

const forever = new AbortController().signal;
let site: Site;
let service: TestService;
let said: string[];
const open: AsyncDisposable[] = [];

beforeEach(async () => {
  site = await newSite();
  said = [];
});

afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

async function start(settings: Partial<ServiceSettings> = {}): Promise<void> {
  service = await startTestService(site, new FakeBmc(mac1).connect, settings);
}

async function newToken(machineUuid: string): Promise<string> {
  const { bmc } = service.operator;
  const { text } = await call(bmc, bmc.createToken, { machineUuid, ttlSeconds: 0, uses: 0 });
  return text.toString();
}

/** The agent's own code from its configuration to the first steps of its run, as it is in the ramdisk. */
async function enrol(uuid: string, values: Readonly<Record<string, string>>): Promise<Enrolment> {
  const name = "kernel command line";
  const given = {
    service: `127.0.0.1:${service.running.port}`,
    service_limit: "5",
    ca: join(site.pki, "ca.pem"),
    ...values,
  };
  const sources = [{ name, kind: "kernel" as const, values: new Map(Object.entries(given)) as never }];
  const settings = await completeSettings(sources);
  const console = { note: (text: string) => void said.push(text) } as Console;
  const enrolment = await begin(realWorld(settings, console), machineOf(uuid), forever);
  open.push(enrolment);
  await enrolment.reportBmc(factsOf(mac1), forever);
  return enrolment;
}

const rows = async () => (await call(service.operator.bmc, service.operator.bmc.listBmcs, {})).bmcs;

describe("an agent with an enrolment token and no certificate", () => {
  test("goes through its enrolment with the certificate that it gets", async () => {
    await start();
    await enrol(uuid1, { token: await newToken(uuid1) });
    expect(await rows()).toMatchObject([{ mac: mac1, machineUuid: uuid1 }]);
    const calls = service.log.map((line) => JSON.parse(line)).filter(({ rpc }) => rpc?.startsWith("EnrolmentService"));
    expect(calls.map(({ rpc, actor }) => `${rpc} ${actor}`)).toEqual([
      "EnrolmentService/Begin no certificate",
      `EnrolmentService/ReportBmc ${uuid1}`,
    ]);
  });

  test("whose authority is pinned trusts that one", async () => {
    await start();
    const pin = new X509Certificate(readFileSync(join(site.pki, "ca.pem"))).fingerprint256;
    await enrol(uuid1, { token: await newToken(uuid1), ca_sha256: pin });
    expect(await rows()).toHaveLength(1);
  });

  test("ends with a refusal when the token is another machine's", async () => {
    await start();
    const token = await newToken(uuid2);
    const refused = enrol(uuid1, { token });
    await expect(refused).rejects.toMatchObject({ status: "unauthenticated", answered: true });
    await expect(refused).rejects.toThrow("enrolment_token: it was made for another machine");
    expect(said.join("\n")).not.toContain(token);
    expect(await rows()).toEqual([]);
  });
});

test("an agent waits for another enrolment of its machine until that has been silent for long enough", async () => {
  await start({ sessionIdleMs: 300 });
  await enrol(uuid1, { token: await newToken("") });
  await enrol(uuid1, { token: await newToken("") });
  expect(said[0]).toMatch(/another enrolment of this machine is under way, last heard 0 s ago; try again; try 2 in/);
});

test("an agent that is told to try again later does so, within its limit", async () => {
  await start({ limits: { ...defaultLimits, sessions: 0 } });
  const refused = enrol(uuid1, { token: await newToken(""), service_limit: "3" });
  await expect(refused).rejects.toMatchObject({ status: "exhausted", answered: true });
  expect(said[0]).toMatch(/there are 0 sessions \(--max-sessions\); try again in 60 s; try 2 in/);
});

test("without TLS, agent and service on one machine understand each other", async () => {
  await start({ insecurePlaintext: true });
  await enrol(uuid1, { insecure_plaintext: "1" });
  expect(service.log.join("")).toContain("no TLS: whoever can use this machine is agent and admin");
  const { port } = service.running;
  const listed = await run(["--service", `127.0.0.1:${port}`, "--insecure-plaintext", "ls"]);
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining(mac1) });
  const elsewhere = await run(["--service", `10.0.0.1:${port}`, "--insecure-plaintext", "ls"]);
  expect(elsewhere).toMatchObject({
    code: 64,
    stderr: expect.stringContaining("only 127.0.0.1 and [::1] are allowed"),
  });
});

test("an agent without TLS talks to nobody but its own machine", async () => {
  await start();
  const elsewhere = enrol(uuid1, { insecure_plaintext: "1", service: "10.0.0.1:4443" });
  await expect(elsewhere).rejects.toMatchObject({ status: "configuration" });
});

test("a service without TLS listens nowhere but on its own machine", async () => {
  await start();
  const elsewhere = startTestService(site, new FakeBmc(mac1).connect, {
    insecurePlaintext: true,
    listen: { host: "0.0.0.0", port: 0 },
    data: join(site.directory, "elsewhere"),
  });
  await expect(elsewhere).rejects.toThrow("--insecure-plaintext: it serves 127.0.0.1 and [::1] only");
});
