import { afterEach, describe, expect, test } from "vitest";
import { Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { useFakeService } from "./fixture/hooks.ts";
import { canary, discovered, failed, linked, unmanaged } from "./fixture/rows.ts";
import { type Surroundings, start } from "./fixture/run.ts";

const inUse = useFakeService();

describe("watch", () => {
  const mac = "02:00:00:00:00:02";
  const row = (over: Partial<Bmc> = {}) =>
    Bmc.fromPartial({ mac, address: "10.0.0.2", state: State.STATE_ESCROWED, ...over });

  async function watching(args: string[], surroundings?: Surroundings) {
    const running = start([...inUse.there, "watch", ...args], surroundings);
    await expect.poll(() => inUse.service.watchers).toBe(1);
    return running;
  }
  afterEach(async () => {
    inUse.service.rows.delete(mac);
    await expect.poll(() => inUse.service.watchers).toBe(0);
  });

  test("shows each row, then each change as a line, and ends well by Ctrl-C", async () => {
    const running = await watching([]);
    inUse.service.put(row());
    inUse.service.put(row({ state: State.STATE_LINKED, address: "10.0.0.3", changedAt: new Date() }));
    inUse.service.put(row({ state: State.STATE_LINKED, address: "10.0.0.3", changedAt: new Date(1) }));
    inUse.service.remove(mac);
    await expect.poll(() => running.stdout()).toContain("deleted");
    running.interrupt();
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}/);
    expect(lines.map((line) => line.slice(26))).toEqual([
      "92:33:b8:0e:df:8f  linked      10.0.0.1  Supermicro  IPMI  machine 37c43c25-69fe-4f88-b69d-4e71dc4070d0  logged in from remote",
      "27:53:57:51:6b:c8  reported    10.0.0.8",
      "56:62:97:4e:1f:1f  failed      2001:db8::9  Dell [2J  IPMI  machine 995119fd-ec18-4cd7-8ca0-a9e1c2f70624  login refused: wrong password",
      "4bdf5c1b-3f7d-47df-84dd-05acb6e0718d  unmanaged   Unmanaged",
      `${mac}  escrowed    10.0.0.2`,
      `${mac}  linked      address 10.0.0.2 -> 10.0.0.3; state escrowed -> linked`,
      `${mac}  deleted`,
    ]);
  });

  test("--output json gives one document a line", async () => {
    const running = await watching(["--output", "json"]);
    inUse.service.put(row());
    inUse.service.remove(mac);
    await expect.poll(() => running.stdout()).toContain("deleted");
    running.interrupt();
    expect((await running.ended).stdout).not.toContain(canary);
    const documents = (await running.ended).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(documents.map(({ event, key, bmc }) => [event, key, bmc?.state])).toEqual([
      ["present", linked.mac, "linked"],
      ["present", discovered.mac, "reported"],
      ["present", failed.mac, "failed"],
      ["present", unmanaged.machineUuid, "unmanaged"],
      ["added", mac, "escrowed"],
      ["deleted", mac, undefined],
    ]);
  });

  test("goes on when the service is back, with what happened meanwhile", async () => {
    inUse.service.rows.set(mac, row());
    const running = await watching(["--output", "json"]);
    await expect.poll(() => running.stdout()).toContain(mac);
    inUse.service.kill();
    inUse.service.rows.delete(mac);
    inUse.service.rows.set(discovered.mac, Bmc.fromPartial({ ...discovered, address: "10.0.0.88" }));
    await inUse.service.restart();
    try {
      await expect.poll(() => running.stdout()).toContain("deleted");
    } finally {
      inUse.service.rows.set(discovered.mac, discovered);
    }
    running.interrupt();
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^bmcctl: BMC service 127\.0\.0\.1:\d+: WatchBmcs: .*; trying again in \d\.\d s\n/);
    const documents = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(documents.slice(5).map(({ event, key }) => [event, key])).toEqual([
      ["changed", discovered.mac],
      ["deleted", mac],
    ]);
  });

  test("goes on when the service ends the stream in good order", async () => {
    const running = await watching([]);
    inUse.service.endStreams();
    await expect.poll(() => inUse.service.watchers).toBe(1);
    inUse.service.put(row());
    await expect.poll(() => running.stdout()).toContain(mac);
    running.interrupt();
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^bmcctl: the BMC service ended the stream; trying again in \d\.\d s\n$/);
  });

  test("colours states on a terminal only, and not with NO_COLOR", async () => {
    for (const [isTTY, env, coloured] of [
      [true, {}, true],
      [true, { NO_COLOR: "1" }, false],
      [true, { TERM: "dumb" }, false],
      [false, {}, false],
    ] as const) {
      const running = await watching([], { isTTY, env });
      running.interrupt();
      const { stdout } = await running.ended;
      expect(stdout).toContain("linked");
      expect(stdout.includes("\u001b[32m")).toBe(coloured);
      await expect.poll(() => inUse.service.watchers).toBe(0);
    }
  });
});
