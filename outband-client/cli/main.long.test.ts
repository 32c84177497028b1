import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { discovered, linked, unmanaged } from "./fixture/rows.ts";
import { type FakeService, startFakeService } from "./fixture/service.ts";

let service: FakeService;
let there: string[];

beforeAll(async () => {
  service = await startFakeService();
  there = ["--service", service.address, "--pki", service.pki];
});
afterEach(() => {
  service.fault = undefined;
});
afterAll(() => service[Symbol.asyncDispose]());

describe("as a process", () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));

  function spawned(args: string[], stdin: "ignore" | "pipe" = "ignore") {
    const child = spawn(process.execPath, [main, ...args], {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...process.env, HOME: "/nonexistent", XDG_CONFIG_HOME: "" },
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data) => {
      stdout += data;
    });
    child.stderr?.on("data", (data) => {
      stderr += data;
    });
    const ended = new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
      (resolve) => child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr })),
    );
    return { child, ended, stdout: () => stdout };
  }

  test("ls ends by itself with exit code 0", async () => {
    const { code, stdout, stderr } = await spawned([...there, "ls"]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(linked.mac);
  });

  test("a failure ends with its exit code", async () => {
    expect(await spawned(["ls"]).ended).toMatchObject({ code: 64, stdout: "" });
  });

  test("watch ends by SIGINT with exit code 0", async () => {
    const { child, ended, stdout } = spawned([...there, "watch"]);
    await vi.waitFor(() => expect(stdout()).toContain(unmanaged.machineUuid), 5_000);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("update reads a password from a pipe, and nobody sees it", async () => {
    const update = ["update", linked.mac, "--user", "ADMIN", "--password-file", "-"];
    const { child, ended } = spawned([...there, ...update], "pipe");
    child.stdin?.end("cAnAry-7!piped\n");
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/linked +ADMIN/);
    expect(stdout).not.toContain("cAnAry");
    expect(service.updates[0]?.account?.password.toString()).toBe("cAnAry-7!piped");
    service.rows.set(linked.mac, linked);
  });

  test("a reader that has seen enough is no failure", async () => {
    const { child, ended, stdout } = spawned([...there, "watch"]);
    await vi.waitFor(() => expect(stdout()).toContain(linked.mac), 5_000);
    child.stdout?.destroy();
    await vi.waitFor(() => {
      service.put(Bmc.fromPartial({ ...discovered, changedAt: new Date(), stateReason: String(Math.random()) }));
      expect(service.watchers).toBe(0);
    }, 5_000);
    service.rows.set(discovered.mac, discovered);
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });
});
