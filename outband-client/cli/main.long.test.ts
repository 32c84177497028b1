import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test, vi } from "vitest";
import { Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { useFakeService } from "./fixture/hooks.ts";
import { discovered, linked, unmanaged } from "./fixture/rows.ts";

const inUse = useFakeService();

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
    const { code, stdout, stderr } = await spawned([...inUse.there, "ls"]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(linked.mac);
  });

  test("a failure ends with its exit code", async () => {
    expect(await spawned(["ls"]).ended).toMatchObject({ code: 64, stdout: "" });
  });

  test("watch ends by SIGINT with exit code 0", async () => {
    const { child, ended, stdout } = spawned([...inUse.there, "watch"]);
    await expect.poll(() => stdout()).toContain(unmanaged.machineUuid);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("update reads a password from a pipe, and nobody sees it", async () => {
    const update = ["update", linked.mac, "--user", "ADMIN", "--password-file", "-"];
    const { child, ended } = spawned([...inUse.there, ...update], "pipe");
    child.stdin?.end("cAnAry-7!piped\n");
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/linked +ADMIN/);
    expect(stdout).not.toContain("cAnAry");
    expect(inUse.service.updates[0]?.account?.password.toString()).toBe("cAnAry-7!piped");
    inUse.service.rows.set(linked.mac, linked);
  });

  test("a reader that has seen enough is no failure", async () => {
    const { child, ended, stdout } = spawned([...inUse.there, "watch"]);
    await expect.poll(() => stdout()).toContain(linked.mac);
    child.stdout?.destroy();
    await vi.waitFor(() => {
      inUse.service.put(Bmc.fromPartial({ ...discovered, changedAt: new Date(), stateReason: String(Math.random()) }));
      expect(inUse.service.watchers).toBe(0);
    }, 5_000);
    inUse.service.rows.set(discovered.mac, discovered);
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });
});
