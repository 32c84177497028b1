import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { run } from "./fixture/run.ts";
import { type FakeService, startFakeService, tokenCanary } from "./fixture/service.ts";

const machine = "37c43c25-69fe-4f88-b69d-4e71dc4070d0";
let service: FakeService;
let directory: string;

beforeAll(async () => {
  service = await startFakeService();
  directory = mkdtempSync(join(tmpdir(), "bmcctl-token-"));
});
afterEach(() => {
  service.fault = undefined;
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await service[Symbol.asyncDispose]();
});

const token = (...args: string[]) => run(["--service", service.address, "--pki", service.pki, "token", ...args]);

test("a token's text alone is on standard output, so that a script can take it", async () => {
  const { code, stdout, stderr } = await token("create", "--machine", machine.toUpperCase(), "--ttl", "2h");
  expect(code).toBe(0);
  expect(stdout).toBe(`${tokenCanary}\n`);
  expect(stderr).toMatch(
    new RegExp(
      `^bmcctl: token rvt_\\S+ is good for one enrolment of machine ${machine} until 20\\S+; it is not shown again\n$`,
    ),
  );
  const made = JSON.parse((await token("ls", "--output", "json")).stdout).at(-1);
  expect(Date.parse(made.expires_at) - Date.now()).toBeGreaterThan(7_100_000);
});

test("as JSON it comes with what is remembered of it", async () => {
  const { stdout, stderr } = await token("create", "--uses", "40", "--output", "json");
  expect(JSON.parse(stdout)).toMatchObject({ token: tokenCanary, state: "good", uses: 40, used: 0 });
  expect(stderr).toBe("");
});

test("a file gets it with mode 0600, and the output does not", async () => {
  const out = join(directory, "new.token");
  const { code, stdout, stderr } = await token("create", "--out", out);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("rvt_");
  expect(stdout).not.toContain(tokenCanary);
  expect(readFileSync(out, "utf8")).toBe(`${tokenCanary}\n`);
  expect(statSync(out).mode & 0o777).toBe(0o600);
});

test("a file that is there is not overwritten; one that stays empty is taken away", async () => {
  const there = join(directory, "there.token");
  writeFileSync(there, "precious");
  expect(await token("create", "--out", there)).toMatchObject({
    code: 78,
    stderr: expect.stringContaining("exists already"),
  });
  expect(readFileSync(there, "utf8")).toBe("precious");
  const nowhere = join(directory, "nowhere");
  expect(await token("create", "--out", join(nowhere, "t"))).toMatchObject({
    code: 78,
    stderr: expect.stringContaining(`there is no directory ${nowhere}\n`),
  });
  const out = join(directory, "failed.token");
  service.fault = { code: status.FAILED_PRECONDITION, details: "no authority for agents" };
  expect(await token("create", "--out", out)).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/no authority for agents\n$/),
  });
  expect(existsSync(out)).toBe(false);
});

test.each([
  [["create", "--machine", "x"], "is no machine UUID"],
  [["create", "--ttl", "15"], "--ttl: give a number with its unit"],
  [["create", "--ttl", "0m"], "--ttl: 0 is not allowed"],
  [["create", "--ttl", "0"], "--ttl: 0 is not allowed"],
  [["create", "--ttl", "31d"], '--ttl: at most 30d\n  See "bmcctl token create --help".'],
  [["create", "--uses", "0"], "--uses: give a number, 1 to 10000"],
  [["create", "--uses", "10001"], "--uses: give a number, 1 to 10000"],
  [["revoke", "s3cret"], "that is no identifier of a token"],
])("%j is refused before anything is asked", async (args, message) => {
  expect(await token(...args)).toMatchObject({ code: 64, stdout: "", stderr: expect.stringContaining(message) });
});

test("revoke says what became of it; the whole text will do, and is not shown", async () => {
  const { id } = JSON.parse((await token("create", "--output", "json")).stdout);
  const { code, stdout } = await token("revoke", `${id}${"0".repeat(36)}`);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ID +MACHINE ID +STATE.*\nrvt_\S+ +any +revoked +0\/1 /);
  expect(stdout).not.toContain("0".repeat(30));
  expect(await token("revoke", "rvt_ffffffffffff")).toMatchObject({
    stderr: expect.stringMatching(/there is no token .*\n {2}"bmcctl token ls" shows/),
  });
});
