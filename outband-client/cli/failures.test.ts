import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { useFakeService } from "./fixture/hooks.ts";
import { linked } from "./fixture/rows.ts";
import { run, type Surroundings, start } from "./fixture/run.ts";
import { startFakeService } from "./fixture/service.ts";

const inUse = useFakeService();

const bmcctl = (args: string[], surroundings?: Surroundings) => run([...inUse.there, ...args], surroundings);

describe("failures", () => {
  test.each([
    [status.NOT_FOUND, 64],
    [status.INVALID_ARGUMENT, 64],
    [status.UNAVAILABLE, 75],
    [status.FAILED_PRECONDITION, 75],
    [status.RESOURCE_EXHAUSTED, 75],
    [status.PERMISSION_DENIED, 77],
    [status.UNAUTHENTICATED, 77],
    [status.INTERNAL, 70],
    [status.UNIMPLEMENTED, 76],
  ])("gRPC status %i is exit code %i, with the service's words on stderr", async (code, exit) => {
    inUse.service.fault = { code, details: "its own words" };
    for (const args of [["ls"], ["describe", linked.mac], ["power", linked.mac, "on"], ["watch"]]) {
      const ran = await bmcctl(args);
      expect(ran).toMatchObject({ code: exit, stdout: "" });
      expect(ran.stderr).toMatch(/^bmcctl: BMC service 127\.0\.0\.1:\d+: \w+: its own words\n(?: {2}\S.*\n)?$/);
    }
  });

  test("an unknown BMC is exit code 64 and is named", async () => {
    const { code, stderr } = await bmcctl(["describe", "02:00:00:00:00:99"]);
    expect(code).toBe(64);
    expect(stderr).toContain("02:00:00:00:00:99");
    expect(stderr).toContain("bmcctl ls");
  });

  test("an unknown conflict is looked for where conflicts are listed", async () => {
    inUse.service.fault = { code: status.NOT_FOUND, details: "there is no conflict 7" };
    const { code, stderr } = await bmcctl(["--role", "admin", "conflicts", "dismiss", "7"]);
    expect({ code, stderr }).toEqual({
      code: 64,
      stderr: expect.stringMatching(/there is no conflict 7\n {2}"bmcctl conflicts" shows/),
    });
  });

  test.each([
    [["describe", "92:33:b8:0e:df"], "92:33:b8:0e:df", "bmcctl describe"],
    [["describe", "92:33:b8:0e:df:8g"], "8g", "bmcctl describe"],
    [["power", "37c43c25-69fe-4f88-b69d-4e71dc4070d0", "on"], "no MAC address", "bmcctl power"],
    [["power", "92:33:b8:0e:df:8f", "explode"], "explode", "bmcctl power"],
    [["power", "92:33:b8:0e:df:8f"], "action", "bmcctl power"],
    [["describe"], "mac|uuid", "bmcctl describe"],
    [["nonsense"], "nonsense", "bmcctl"],
    [["ls", "--output", "xml"], "xml", "bmcctl"],
    [["ls", "--nonsense"], "--nonsense", "bmcctl ls"],
    [["ls", "extra"], "too many arguments", "bmcctl ls"],
    [["ls", "--timeout", "soon"], "soon", "bmcctl"],
    [["--service", "nowhere", "ls"], "HOST:PORT", "bmcctl ls"],
  ])("%j is exit code 64 and says what is wrong, and whose help says more", async (args, text, named) => {
    const { code, stdout, stderr } = await bmcctl(args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toMatch(/^bmcctl: /);
    expect(stderr).toContain(text);
    expect(stderr).toContain(`See "${named} --help".`);
  });

  test("nobody there is exit code 69", async () => {
    const gone = await startFakeService();
    await gone[Symbol.asyncDispose]();
    for (const args of [["ls"], ["watch"]]) {
      const ran = await run(["--service", gone.address, "--pki", inUse.service.pki, ...args]);
      expect(ran.code).toBe(69);
      expect(ran.stderr).toContain(gone.address);
      expect(ran.stderr).toContain("connection refused");
    }
  });

  test("a certificate of another CA is exit code 77", async () => {
    const ran = await run(["--service", inUse.service.address, "--pki", inUse.service.strangerPki, "ls"]);
    expect(ran.code).toBe(77);
    expect(ran.stderr).toContain('refused the client certificate "CN=test operator, OU=operator"');
  });

  test("a role that is too low is exit code 77 and says which one to use", async () => {
    const details = 'DeleteBmc needs role "admin", the client certificate has role (OU) "operator"';
    inUse.service.fault = { code: status.PERMISSION_DENIED, details };
    const { code, stderr } = await bmcctl(["delete", linked.mac]);
    expect(code).toBe(77);
    expect(stderr).toContain(`${details}\n  Use --role admin.\n`);
  });

  test("what is damaged at the service is exit code 75 in its words, and no bug", async () => {
    const details = 'account 1 ("rivetab12") of BMC 52:54:00:b1:00:01: its password is damaged in the database';
    inUse.service.fault = { code: status.DATA_LOSS, details };
    const { code, stderr } = await bmcctl(["power", linked.mac, "on"]);
    expect(code).toBe(75);
    expect(stderr).toContain(details);
    expect(stderr).not.toContain("bug");
  });

  test("no answer in time is exit code 75, and --timeout is that time", async () => {
    inUse.service.fault = "silence";
    const { code, stderr } = await bmcctl(["power", linked.mac, "on", "--timeout", "0.3"]);
    expect(code).toBe(75);
    expect(stderr).toContain("no answer within 0.3 s");
    expect(stderr).toContain("look before trying again");
  });

  test("Ctrl-C in the middle is told from an end", async () => {
    inUse.service.fault = "silence";
    const running = start([...inUse.there, "ls"]);
    running.interrupt();
    expect(await running.ended).toEqual({ code: "interrupted", stdout: "", stderr: "" });
  });
});
