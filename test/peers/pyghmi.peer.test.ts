import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootFlags, bootFlagsFor } from "../../ipmi/boot-options.ts";
import { send } from "../../ipmi/command.ts";
import {
  chassisControl,
  getChassisStatus,
  getDeviceId,
  getSystemBootOptions,
  setSystemBootOptions,
} from "../../ipmi/commands/index.ts";
import { connectLan, type LanOptions, SessionError } from "../../outband-client/lan/index.ts";
import { until } from "../lab/deadline.ts";
import { freeUdpPort } from "../lab/ports.ts";
import { describeWith } from "./foreign-program.ts";

const pyghmi = {
  name: "pyghmi's BMC class",
  debianPackage: "python3-pyghmi",
  probe: ["/usr/bin/python3", "-c", "import pyghmi.ipmi.bmc"],
} as const;
const program = new URL("pyghmi_bmc.py", import.meta.url).pathname;

/** Starts the BMC; `said` is what it has printed. */
async function startBmc(suite: 3 | 17, kg: string | null) {
  const port = await freeUdpPort();
  const child = spawn("/usr/bin/python3", [program], { stdio: ["pipe", "pipe", "inherit"] });
  const said: string[] = [];
  createInterface(child.stdout).on("line", (line) => said.push(line));
  const users = { rivet: "sixteen-letters!", long: "Twenty-byte-passw0rd" };
  const guid = "00112233445566778899aabbccddeeff";
  child.stdin.write(`${JSON.stringify({ port, suite, users, kg, guid })}\n`);
  await until("pyghmi's BMC to listen", 20_000, () => said.includes("ready"));
  return {
    port,
    said,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await until("pyghmi's BMC to end", 5_000, () => child.exitCode !== null || child.signalCode !== null);
    },
  };
}

// pyghmi answers nothing to a user it does not know, or to a wrong RAKP 3: short waits keep that short.
const timeouts = { handshakeMs: [300, 300], requestMs: [1000, 1000], loginMs: 5000 };
const kgs = [null, "twenty bytes of K_g."] as const;
const suites = [3, 17] as const;

describeWith(pyghmi, "pyghmi's BMC class lets us in", () => {
  describe.each(suites.flatMap((suite) => kgs.map((kg) => ({ suite, kg }))))(
    "suite $suite, K_g $kg",
    ({ suite, kg }) => {
      const stack = new AsyncDisposableStack();
      let bmc: Awaited<ReturnType<typeof startBmc>>;
      beforeAll(async () => {
        bmc = stack.use(await startBmc(suite, kg));
      });
      afterAll(() => stack.disposeAsync());

      const connect = (login: Partial<LanOptions> = {}) =>
        connectLan({
          host: "127.0.0.1",
          port: bmc.port,
          user: "rivet",
          password: Buffer.from("sixteen-letters!"),
          ...(kg === null ? {} : { kg: Buffer.from(kg) }),
          timeouts,
          signal: AbortSignal.timeout(20_000),
          ...login,
        });
      const signal = AbortSignal.timeout(60_000);
      const status = (login: Partial<LanOptions>) =>
        connect(login).then(
          () => expect.unreachable("it should have been refused"),
          (error: unknown) => (error instanceof SessionError ? error.status : error),
        );

      it("logs in with the suite that it has, best first", async () => {
        await using session = await connect();
        expect(session.cipherSuite).toBe(suite);
        expect(await send(session, getDeviceId, {}, signal)).toMatchObject({ ipmiVersion: { major: 2 } });
      });

      it("logs in with a password of 20 bytes", async () => {
        await using session = await connect({ user: "long", password: Buffer.from("Twenty-byte-passw0rd") });
        expect(session.cipherSuite).toBe(suite);
      });

      it("power and boot device, each request once", async () => {
        await using session = await connect();
        const before = bmc.said.length;
        await send(session, chassisControl, { control: { operation: "powerUp" } }, signal);
        await send(session, chassisControl, { control: { operation: "powerCycle" } }, signal);
        // pyghmi answers the first three bytes only; the client must take what the specification demands: it does.
        const status = await send(session, getChassisStatus, {}, signal);
        expect(status.currentPowerState.powerOn).toBe(true);
        const parameterData = bootFlags.encode(bootFlagsFor("pxe", { persistent: false, efi: false }));
        const parameter = { markInvalid: false, selector: bootFlags.selector };
        await send(session, setSystemBootOptions, { parameter, parameterData }, signal);
        const request = { parameterSelector: bootFlags.selector, setSelector: 0, blockSelector: 0 };
        const answer = await send(session, getSystemBootOptions, request, signal);
        expect(answer.parameter.selector).toBe(5);
        await until("the BMC to print what it did", 2000, () => bmc.said.length >= before + 3);
        expect(bmc.said.slice(before)).toEqual(["power on", "power cycle", "boot network"]);
      });

      it("wrong password", async () => {
        expect(await status({ password: Buffer.from("wrong") })).toBe("wrong password");
      });

      it("a user that it does not know: it stays silent, which is no answer", async () => {
        expect(await status({ user: "nobody" })).toBe("no answer");
      });

      it("wrong K_g", async () => {
        expect(await status({ kg: Buffer.from("another key") })).toBe("wrong K_g");
      });

      it("a suite that it does not have", async () => {
        const other = suite === 3 ? 17 : 3;
        expect(await status({ cipherSuites: [other] })).toBe("no cipher suite in common");
      });
    },
  );
});
