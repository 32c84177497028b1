import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { getDeviceId } from "../../ipmi/commands/index.ts";
import { LanServer, listenOnLoopback } from "../simulator/lan-server.ts";
import { describeWith, onPath } from "./foreign-program.ts";

// The third side of the triangle: foreign clients against our server. An error that our client and our server share,
// and that no foreign BMC shows (few speak suite 17), shows here.

const users = [
  { name: "rivet", password: "sixteen-letters!" },
  { name: "long", password: "Twenty-byte-passw0rd" },
];
const kg = "nineteen-bytes-K_g.";
const deviceId = Uint8Array.of(0x20, 1, 9, 8, 2, 0xbf, 0x91, 0x12, 0, 2, 15);

async function withServer(
  kgSet: boolean,
  work: (port: number, directory: string, server: LanServer) => Promise<void>,
): Promise<void> {
  const server = new LanServer({
    users,
    ...(kgSet ? { kg } : {}),
    handle: ({ netFn, cmd }) =>
      netFn === 6 && cmd === getDeviceId.cmd
        ? { completionCode: 0, data: deviceId }
        : { completionCode: 0xc1, data: new Uint8Array(0) },
  });
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-clients-"));
  try {
    await using listening = await listenOnLoopback(server);
    await work(listening.port, directory, server);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const logins = [3, 17].flatMap((suite) =>
  users.flatMap((user) => [false, true].map((kgSet) => ({ suite, user, size: user.password.length, kgSet }))),
);
const quietly = { reject: false, all: true, stdin: "ignore", timeout: 20_000 } as const;

describeWith(onPath("ipmitool", "ipmitool"), "ipmitool gets into our server", () => {
  describe.each(logins)("suite $suite, password of $size bytes, K_g $kgSet", ({ suite, user, kgSet }) => {
    it("and out again", async () => {
      await withServer(kgSet, async (port, directory, server) => {
        const file = join(directory, "password");
        writeFileSync(file, user.password, { mode: 0o600 });
        const target = ["-I", "lanplus", "-C", String(suite), "-H", "127.0.0.1", "-p", String(port)];
        const key = kgSet ? ["-k", kg] : [];
        const done = await execa("ipmitool", [...target, ...key, "-U", user.name, "-f", file, "mc", "info"], quietly);
        expect(done.all).toContain("IPMI Version              : 2.0");
        expect(server.sessionCount).toBe(0);
      });
    });
  });

  it("but not with a wrong password", async () => {
    await withServer(false, async (port, directory, server) => {
      const file = join(directory, "password");
      writeFileSync(file, "wrong", { mode: 0o600 });
      const target = ["-I", "lanplus", "-C", "17", "-H", "127.0.0.1", "-p", String(port)];
      const done = await execa("ipmitool", [...target, "-R", "1", "-U", "rivet", "-f", file, "mc", "info"], quietly);
      expect(done.exitCode).not.toBe(0);
      expect(server.executed).toHaveLength(0);
    });
  });
});

describeWith(onPath("bmc-info", "freeipmi-tools"), "FreeIPMI gets into our server", () => {
  describe.each(logins)("suite $suite, password of $size bytes, K_g $kgSet", ({ suite, user, kgSet }) => {
    it("and out again", async () => {
      await withServer(kgSet, async (port, directory, server) => {
        const file = join(directory, "freeipmi.conf");
        const lines = [`username ${user.name}`, `password ${user.password}`, "driver-type LAN_2_0"];
        if (kgSet) lines.push(`k_g ${kg}`);
        lines.push(`cipher-suite-id ${suite}`, "privilege-level ADMIN", "");
        writeFileSync(file, lines.join("\n"), { mode: 0o600 });
        const args = [`--config-file=${file}`, "-h", `127.0.0.1:${port}`, "--get-device-id"];
        const done = await execa("bmc-info", args, quietly);
        expect(done.all).toContain("Firmware Revision     : 9.08");
        expect(server.sessionCount).toBe(0);
      });
    });
  });
});
