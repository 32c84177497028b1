import { afterAll, beforeAll, expect, test } from "vitest";
import { linked } from "./fixture/rows.ts";
import { run } from "./fixture/run.ts";
import { type FakeService, startFakeService } from "./fixture/service.ts";

let service: FakeService;
let there: string[];

beforeAll(async () => {
  service = await startFakeService();
  there = ["--service", service.address, "--pki", service.pki];
  service.history.push(
    { at: new Date("2026-01-02T03:04:06Z"), actor: "my\u001b[31m certificate", action: "power cycle", detail: "IPMI" },
    { at: new Date("2026-01-02T03:04:05Z"), actor: "agent", action: "escrowed", detail: "" },
  );
});
afterAll(() => service[Symbol.asyncDispose]());

const bmcctl = (...args: string[]) => run([...there, ...args]);

test("is shown newest first, without what would steer a terminal", async () => {
  const { code, stdout } = await bmcctl("history", linked.mac);
  expect(code).toBe(0);
  expect(stdout).not.toContain("\u001b");
  const [head, first, second] = stdout.split("\n");
  expect(head).toMatch(/^AT +WHO +WHAT +DETAIL$/);
  expect(first).toMatch(/^2026-01-02T03:04:06.000Z +my.*certificate +power cycle +IPMI$/);
  expect(second).toMatch(/^2026-01-02T03:04:05.000Z +agent +escrowed$/);
});

test("of a machine, as a document, no more than asked for", async () => {
  const { stdout } = await bmcctl("history", linked.machineUuid.toUpperCase(), "--limit", "1", "--output", "json");
  expect(JSON.parse(stdout)).toEqual([
    { at: "2026-01-02T03:04:06.000Z", actor: expect.any(String), action: "power cycle", detail: "IPMI" },
  ]);
});

test("of what the service does not know is exit code 64", async () => {
  expect(await bmcctl("history", "02:00:00:00:00:99")).toMatchObject({ code: 64, stdout: "" });
});

test.each(["0", "-1", "1001", "many"])("a limit of %s is wrong usage", async (limit) => {
  const { code, stderr } = await bmcctl("history", linked.mac, "--limit", limit);
  expect(code).toBe(64);
  expect(stderr).toContain("from 1 to 1000");
});
