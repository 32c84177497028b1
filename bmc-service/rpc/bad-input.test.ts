import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, machineOf, uuid1 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService, type TestService } from "../fixture/service.ts";

let site: Site;
let service: TestService;
let agent: EnrollingAgent;

beforeAll(async () => {
  site = await newSite();
  service = await startTestService(site, new FakeBmc(mac1).connect);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

beforeEach(() => {
  agent = new EnrollingAgent(service.agent);
});

async function rows(): Promise<number> {
  return (await call(service.operator.bmc, service.operator.bmc.listBmcs, {})).bmcs.length;
}

describe("Begin refuses", () => {
  const begin = (machine: ReturnType<typeof machineOf> | undefined, bootId = "boot", agentVersion = "v") => {
    const { enrolment } = service.agent;
    return refusal(
      call(enrolment, enrolment.begin, {
        machine,
        bootId,
        agentVersion,
        enrolmentToken: Buffer.alloc(0),
        certificateRequest: Buffer.alloc(0),
      }),
    );
  };

  test.each([
    ["no machine", undefined, "machine: it is missing"],
    ["a malformed UUID", machineOf("5a1c4e3e-6a1b"), "machine.uuid: "],
    ["an empty UUID", machineOf(""), "machine.uuid: "],
    ["a UUID that many boards share", machineOf("03000200-0400-0500-0006-000700080009"), "machine.uuid: "],
    ["the same in another byte order", machineOf("00020003-0004-0005-0006-000700080009"), "machine.uuid: "],
  ])("%s", async (_what, machine, details) => {
    const refused = await begin(machine);
    expect(refused.code).toBe("INVALID_ARGUMENT");
    expect(refused.details).toContain(details);
  });

  test("a missing boot id or version", async () => {
    expect((await begin(machineOf(uuid1), "")).details).toBe("boot_id: it is missing");
    expect((await begin(machineOf(uuid1), "b", " ")).details).toBe("agent_version: it is missing");
  });

  test("200 kB of text, naming the field", async () => {
    const machine = machineOf(uuid1);
    machine.bios!.vendor = "x".repeat(200_000);
    expect(await begin(machine)).toEqual({
      code: "INVALID_ARGUMENT",
      details: "machine.bios.vendor: 200000 bytes of text, at most 1024 are accepted",
    });
    expect(await begin(machineOf(uuid1), "€".repeat(70_000))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("a message that is larger than any can be", async () => {
    expect((await begin(machineOf("x".repeat(256 * 1024)))).code).toBe("RESOURCE_EXHAUSTED");
  });
});

describe("ReportBmc refuses", () => {
  beforeEach(() => agent.begin(uuid1));

  test.each([
    ["bmc.mac", { mac: "52:54:00:b1:00" }],
    ["bmc.mac", { mac: "00:00:00:00:00:00" }],
    ["bmc.mac", { mac: "ff:ff:ff:ff:ff:ff" }],
    ["bmc.mac", { mac: "27:53:57:51:6b:c8" }],
    ["bmc.channel", { channel: 0 }],
    ["bmc.channel", { channel: 14 }],
    ["bmc.ipv4_address", { ipv4Address: "10.0.0.256" }],
    ["bmc.ipv4_address", { ipv4Address: "0.0.0.0" }],
    ["bmc.ipv4_mask", { ipv4Mask: "/24" }],
    ["bmc.ipv6_addresses[0]", { ipv6Addresses: ["fe80::1%eth0/64"] }],
    ["bmc.ipv6_addresses[0]", { ipv6Addresses: ["2001:db8::1/129"] }],
    ["bmc.vlan_id", { vlanId: 5000 }],
    ["bmc.rmcp_port", { rmcpPort: 70_000 }],
    ["bmc.guid", { guid: "0011" }],
  ])("a bad %s", async (field, bad) => {
    const refused = await refusal(agent.report(factsOf(mac1, bad)));
    expect(refused.code).toBe("INVALID_ARGUMENT");
    expect(refused.details.startsWith(`${field}: `)).toBe(true);
    expect(await rows()).toBe(0);
  });

  test("a text that is too long deep inside", async () => {
    const channels = [{ channel: 1, mac: mac1, ipv4Address: "", remark: "x".repeat(9_000) }];
    const refused = await refusal(agent.report(factsOf(mac1, { channels })));
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(refused.details).toContain("bmc.channels[0].remark: ");
    const findings = Array.from({ length: 2_000 }, () => "x");
    expect((await refusal(agent.report(factsOf(mac1, { findings })))).details).toContain("bmc.findings: 2000 entries");
  });
});

describe("EscrowAccount refuses", () => {
  beforeEach(() => agent.begin(uuid1));

  test("what comes before the report, or is about another BMC", async () => {
    expect(await refusal(agent.escrow(mac1, "rivetab12", "pass"))).toMatchObject({ code: "FAILED_PRECONDITION" });
    await agent.report(factsOf(mac1));
    expect((await refusal(agent.escrow("52:54:00:b1:00:09", "rivetab12", "pass"))).details).toContain("mac: ");
  });

  test("names and passwords that a BMC cannot hold, never quoting the password", async () => {
    await agent.report(factsOf(mac1));
    for (const [name, password, slot, field] of [
      ["", "pass", 3, "user_name"],
      ["rivet-name-that-is-long", "pass", 3, "user_name"],
      ["rivetä", "pass", 3, "user_name"],
      ["rivetab12", "", 3, "password"],
      ["rivetab12", "123456789012345678901", 3, "password"],
      ["rivetab12", "secr\u0000et", 3, "password"],
      ["rivetab12", "Weak-Secret-1", 3, "password"],
      ["rivetab12", "pass", 0, "slot"],
      ["rivetab12", "pass", 64, "slot"],
    ] as const) {
      const refused = await refusal(agent.escrow(mac1, name, password, slot));
      expect(refused.code).toBe("INVALID_ARGUMENT");
      expect(refused.details.startsWith(`${field}: `)).toBe(true);
      if (password.length > 5) expect(refused.details).not.toContain(password);
    }
  });

  test("names outside the policy", async () => {
    await agent.report(factsOf(mac1));
    const refused = await refusal(agent.escrow(mac1, "root", "pass"));
    expect(refused).toMatchObject({ code: "PERMISSION_DENIED" });
  });

  test("ConfirmAccount of an account that is not in escrow", async () => {
    await agent.report(factsOf(mac1));
    expect(await refusal(agent.confirm("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1eff"))).toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    expect((await refusal(agent.confirm(""))).details).toBe("account_id: it is missing");
  });
});

test("nothing older than TLS 1.3 is spoken", async () => {
  const read = (name: string) => readFileSync(join(site.pki, name));
  const identity = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key"), servername: "localhost" };
  const attempt = (maxVersion: "TLSv1.2" | "TLSv1.3") =>
    new Promise<string>((resolve) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port: service.running.port,
        ...identity,
        ALPNProtocols: ["h2"],
        maxVersion,
      });
      socket.once("secureConnect", () => {
        resolve(socket.getProtocol() ?? "none");
        socket.destroy();
      });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  expect(await attempt("TLSv1.3")).toBe("TLSv1.3");
  expect(await attempt("TLSv1.2")).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
});
