import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePlan, type PlanWorld } from "../../agent/plan.ts";
import { run } from "../../agent/run.ts";
import { makeStep } from "../../agent/step.ts";
import { defaultLimits } from "../../agent/world.ts";
import { cryptoRandomBelow } from "../../inband/account/credentials.ts";
import { systemClock } from "../../inband/clock.ts";
import { allCommands } from "../../ipmi/commands/index.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type IpmiSim, type SimulatedUser, startIpmiSim } from "../lab/ipmi-sim.ts";
import { connectAsMachine } from "../lab/machine-side.ts";
import { FakeService } from "../run/fake-service.ts";
import { smbiosTables } from "../run/smbios-tables.ts";

const users: SimulatedUser[] = [
  { slot: 2, name: "ADMIN", password: "factory-Pass-1", privilege: "admin" },
  { slot: 3, name: "monitor", password: "watch-Pass-2", privilege: "user" },
];

let sim: IpmiSim;
const stack = new AsyncDisposableStack();
/** Names of the commands that were sent and do not merely read. */
const sent: string[] = [];

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-peers-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const bmc = { mac: "02:00:5e:10:00:02", ip: "192.0.2.42", guid: "00112233445566778899aabbccddee00" };
  sim = stack.use(await startIpmiSim({ directory, ...bmc, users }));
});
afterAll(() => stack.disposeAsync());

function listening(inner: Transport): Transport {
  return {
    name: inner.name,
    maxRequestBytes: inner.maxRequestBytes,
    exchange(message, signal) {
      const command = allCommands.find(({ netFn, cmd }) => netFn === message.netFn && cmd === message.cmd);
      const name = command?.name ?? `${message.netFn}/${message.cmd}`;
      if (!/^(Get|Read) /.test(name)) sent.push(name);
      return inner.exchange(message, signal);
    },
    // Both use it: ipmi_sim takes one machine at a time, and a while to see that one has left.
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test("ipmi_sim: the plan writes nothing, and names what the run then sends", async () => {
  await using machine = await connectAsMachine(sim.vmPort);
  const world: PlanWorld = {
    readSmbios: async () => smbiosTables("4c4c4544-0042-3510-8052-b4c04f4d4d33"),
    openBmc: async () => listening(machine),
    clock: systemClock,
    randomBelow: cryptoRandomBelow,
  };
  const settings = { agentVersion: "test", rotate: false, limits: defaultLimits };
  const plan = await makePlan(world, settings, 60_000, undefined);
  expect(plan).toMatchObject({ outcome: "linked", account: { slot: 4, userName: "rivet**********" } });
  expect(sent).toEqual([]);

  // It is no service that logs in from remote. A login that is only owed leaves the account where it is.
  const service = new FakeService();
  service.refuse = { kind: FailureKind.FAILURE_KIND_UNREACHABLE, reason: "nobody logs in here" };
  const outcome = await run(
    {
      ...world,
      settings,
      connectService: async () => service.client(),
      readBootId: async () => "boot",
      gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
      note: () => undefined,
    },
    makeStep({ clock: systemClock, onEvent: () => undefined }),
  );
  expect(outcome).toMatchObject({ kind: "failed", bmc: { slot: 4 } });
  expect(plan.commands.map(({ command }) => command)).toEqual(sent);
});
