import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { useFakeService } from "./fixture/hooks.ts";
import { canary, linked } from "./fixture/rows.ts";
import { run, type Surroundings } from "./fixture/run.ts";

const inUse = useFakeService();

afterEach(() => {
  inUse.service.rotations.length = 0;
});

const bmcctl = (args: string[], surroundings?: Surroundings) => run([...inUse.there, ...args], surroundings);

describe("rotate", () => {
  test("asks for it once and shows the row, not the password", async () => {
    const ran = await bmcctl(["rotate", linked.mac.toUpperCase()]);
    expect(ran).toEqual({
      code: 0,
      stderr: "",
      stdout: `\
MAC                 STATE    USER             PASSWORD
${linked.mac}   linked   rivet8f3k2m1qz   new
`,
    });
    expect(inUse.service.rotations).toEqual([linked.mac]);
  });

  test("gives the document of describe, and says on a terminal what it waits for", async () => {
    const { stdout, stderr } = await bmcctl(["rotate", linked.mac, "--output", "json"], { isTTY: true });
    expect(JSON.parse(stdout)).toEqual(JSON.parse((await bmcctl(["describe", linked.mac, "--output", "json"])).stdout));
    expect(stdout).not.toContain(canary);
    expect(stderr).toBe(`Giving BMC ${linked.mac} a new password; this takes some seconds.\n`);
  });

  test.each([
    [status.UNAVAILABLE, 75],
    [status.FAILED_PRECONDITION, 75],
    [status.PERMISSION_DENIED, 77],
    [status.NOT_FOUND, 64],
  ])("gRPC status %i is exit code %i, and is not asked again", async (code, exit) => {
    inUse.service.fault = { code, details: "its own words" };
    const ran = await bmcctl(["rotate", linked.mac]);
    expect(ran).toMatchObject({ code: exit, stdout: "" });
    expect(ran.stderr).toContain("its own words");
    expect(inUse.service.rotations).toEqual([linked.mac]);
  });

  test("where the BMC took no new password, nothing is promised that will not be", async () => {
    const details = `BMC ${linked.mac} took no new password: 16 characters. The old one is in use still`;
    inUse.service.fault = { code: status.PERMISSION_DENIED, details };
    const { code, stderr } = await bmcctl(["rotate", linked.mac]);
    expect(code).toBe(77);
    expect(stderr).toContain(`${details}\n  The account is as it was; "bmcctl describe" shows it.\n`);
  });

  test("an operator's own account is refused in the service's words alone", async () => {
    const details = `account "ADMIN" of BMC ${linked.mac} is the operator's own (given by operator "my certificate")`;
    inUse.service.fault = { code: status.PERMISSION_DENIED, details };
    const { code, stderr } = await bmcctl(["rotate", linked.mac]);
    expect(code).toBe(77);
    expect(stderr.endsWith(`${details}\n`)).toBe(true);
  });

  test("is for a MAC address only", async () => {
    expect(await bmcctl(["rotate", linked.machineUuid])).toMatchObject({ code: 64 });
    expect(inUse.service.rotations).toEqual([]);
  });
});
