import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { EnrolmentClient } from "../../agent/world.ts";
import { newSite, startTestService } from "../../bmc-service/fixture/service.ts";
import { decodeFirstPart, encodeFirstPart } from "../../ipmi/system-info-parameters.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Machine } from "../run/machine.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import { knownProfile } from "../simulator/known-profile.ts";
import type { Profile } from "../simulator/profile.ts";
import { spec, strict } from "../simulator/profiles.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";

/* The real agent and the real service: a nonce that the one writes to the BMC in-band and the other reads from remote. */

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

const mac = "52:54:00:b1:00:01";
const lans = [{ channel: 1, mac, ipv4Address: "10.0.0.7" }];
const keeping = knownProfile("keeps-system-info");
const withSystemInfo = (systemInfo: Profile["device"]["systemInfo"]): Profile => ({
  ...keeping,
  device: { ...keeping.device, ...(systemInfo && { systemInfo }) },
});

/** @param before what happens to the BMC when the account was confirmed, before the hand-off */
async function enrol(profile: Profile, before: (bmc: SimulatedBmc) => void = () => undefined) {
  const site = stack.use(await newSite());
  const machine = new Machine({ profile, bmc: { lans, users: [], userIds: 16 } });
  const bmc = stack.use(await listenOnLan(machine.bmc));
  const addresses = new Map([[mac, { host: "127.0.0.1", port: bmc.port }]]);
  const service = stack.use(await startTestService(site, connectLan, { addresses }));
  const read = (name: string) => readFileSync(join(site.pki, name));
  const pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key") };
  const connect = (): EnrolmentClient => connectEnrolment({ address: `127.0.0.1:${service.running.port}`, ...pem });
  const texts: string[] = [];
  const connectService = async (): Promise<EnrolmentClient> => {
    const inner = connect();
    return {
      begin: (...args) => inner.begin(...args),
      reportBmc: (...args) => inner.reportBmc(...args),
      reportInventory: (...args) => inner.reportInventory(...args),
      escrowAccount: (...args) => inner.escrowAccount(...args),
      confirmAccount: async (...args) => {
        texts.push(textOf(machine.bmc));
        const confirmed = await inner.confirmAccount(...args);
        before(machine.bmc);
        return confirmed;
      },
      abort: (...args) => inner.abort(...args),
      watchHandOff: (...args) => inner.watchHandOff(...args),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  };
  const boot = async () => {
    machine.notes.length = 0;
    const outcome = await machine.boot({ world: { connectService } });
    return { outcome, compared: machine.notes.filter((note) => note.includes("nonce")) };
  };
  return { ...(await boot()), boot, texts, machine };
}

function textOf({ operatingSystem }: SimulatedBmc): string {
  return operatingSystem === undefined ? "" : decodeFirstPart(operatingSystem).text;
}

const readBack = ["hand-off: the nonce written in-band was read back"];

test("a BMC without GUID gets a nonce, the service reads it there, and what stood there is put back", async () => {
  const { outcome, compared, texts, machine, boot } = await enrol(keeping);
  expect(outcome).toMatchObject({ kind: "linked" });
  expect(compared).toEqual(readBack);
  expect(texts).toEqual([expect.stringMatching(/^rivet-[0-9a-f]{8}$/)]);
  expect(textOf(machine.bmc)).toBe("Linux");
  expect(outcome.ipmi.commands).toBeLessThanOrEqual(45);
  const asked = (name: string) => machine.bmc.log.filter((each) => each === `${name} System Info Parameters`).length;
  // In-band before and after the write, and from remote.
  expect([asked("Get"), asked("Set")]).toEqual([3, 2]);

  const again = await boot();
  expect(again).toMatchObject({ outcome: { kind: "recognised", ipmi: { commands: 4 } }, compared: [] });
  expect([asked("Get"), asked("Set")]).toEqual([3, 2]);
});

test("a text that was never set is empty afterwards", async () => {
  const { outcome, compared, machine } = await enrol(withSystemInfo({ unset: 0xcb }));
  expect(outcome).toMatchObject({ kind: "linked" });
  expect(compared).toEqual(readBack);
  expect(textOf(machine.bmc)).toBe("");
});

test("the nonce of a run that died is not put back", async () => {
  const { outcome, compared, machine } = await enrol(withSystemInfo({ text: "rivet-0123abcd" }));
  expect(outcome).toMatchObject({ kind: "linked" });
  expect(compared).toEqual(readBack);
  expect(textOf(machine.bmc)).toBe("");
});

test("another text there than the machine wrote is another BMC", async () => {
  const { outcome, machine } = await enrol(keeping, (bmc) => {
    bmc.operatingSystem = encodeFirstPart("rivet-00000000");
  });
  expect(outcome).toMatchObject({ kind: "failed", failure: FailureKind.FAILURE_KIND_OTHER_BMC });
  expect(outcome).toMatchObject({ reason: expect.stringContaining("does not have what the machine wrote") });
  expect(textOf(machine.bmc)).toBe("Linux");
});

test.each<[string, Profile, number]>([
  ["that does not know the command", strict, 1],
  ["that refuses it", withSystemInfo({ refused: 0xd4 }), 1],
  ["that does not know the parameter", withSystemInfo({ refused: 0x80 }), 1],
  ["that takes the text and forgets it", withSystemInfo({ forgotten: true }), 2],
  ["with a GUID", { ...spec, device: { ...spec.device, systemInfo: { text: "Linux" } } }, 0],
])("a BMC %s is linked without", async (_what, profile, asked) => {
  const { outcome, compared, machine } = await enrol(profile);
  expect(outcome).toMatchObject({ kind: "linked" });
  expect(outcome.ipmi.commands).toBeLessThanOrEqual(45);
  expect(compared).toEqual([]);
  expect(machine.bmc.log.filter((name) => name === "Get System Info Parameters")).toHaveLength(asked);
});

test("a BMC that tells it in-band only is linked, and the nonce is not compared", async () => {
  const profile: Profile = {
    ...keeping,
    faults: [{ via: "lan", netFn: 6, cmd: 0x59, effects: [{ completionCode: 0xd4 }], count: "always" }],
  };
  const { outcome, compared, machine } = await enrol(profile);
  expect(outcome).toMatchObject({ kind: "linked" });
  expect(compared).toEqual([]);
  expect(textOf(machine.bmc)).toBe("Linux");
});

test("what cannot be put back is told", async () => {
  const { machine } = await enrol(withSystemInfo({ text: "Linux" }), ({ profile }) => {
    Object.assign(profile.device, { systemInfo: { refused: 0xd5 } });
  });
  expect(machine.notes.join("\n")).toContain("The name of the operating system in the BMC was not put back");
});
