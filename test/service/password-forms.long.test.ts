import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { call } from "../../bmc-service/fixture/clients.ts";
import { newSite, startTestService } from "../../bmc-service/fixture/service.ts";
import { connectLan } from "../../outband-client/lan/index.ts";
import { connectEnrolment } from "../../outband-client/service/enrolment.ts";
import { type Account, AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Machine } from "../run/machine.ts";
import { listenOnLan } from "../simulator/bmc-faces.ts";
import { noPolicy } from "../simulator/password-policy.ts";
import type { Profile } from "../simulator/profile.ts";
import { strict } from "../simulator/profiles.ts";
import type { Fault } from "../simulator/simulated-transport.ts";

/*
 * The real agent and the real service around simulated BMCs that refuse passwords: what was escrowed in one enrolment, and
 * with what the service then logs in over the network.
 */

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** Takes nothing shorter than 20 characters. */
const picky: Profile = { ...strict, passwords: { ...strict.passwords, policy: { ...noPolicy, minLength: 20 } } };
const macs = ["52:54:00:b1:00:01", "52:54:00:b1:00:02"] as const;
const uuids = ["4c4c4544-0042-3510-8052-b4c04f4d4d01", "4c4c4544-0042-3510-8052-b4c04f4d4d02"] as const;

async function openSite(profile = picky) {
  const site = stack.use(await newSite());
  const machines = macs.map((mac) => {
    return new Machine({ profile, bmc: { lans: [{ channel: 1, mac, ipv4Address: "10.0.0.7" }] } });
  });
  const ports = await Promise.all(machines.map(async ({ bmc }) => stack.use(await listenOnLan(bmc)).port));
  const addresses = new Map(macs.map((mac, i) => [mac, { host: "127.0.0.1", port: ports[i] ?? 0 }]));
  const service = stack.use(await startTestService(site, connectLan, { addresses }));
  const read = (name: string) => readFileSync(join(site.pki, name));
  const pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key") };
  const connectService = async () => connectEnrolment({ address: `127.0.0.1:${service.running.port}`, ...pem });
  const boot = async (which: 0 | 1, options: { rotate?: boolean; faults?: readonly Fault[] } = {}) =>
    await machines[which]?.boot({ uuid: uuids[which], ...options, world: { connectService } });
  const accounts = async (which: 0 | 1): Promise<Account[]> => {
    const { bmc } = service.operator;
    return (await call(bmc, bmc.listAccounts, { mac: macs[which], showSecrets: true })).accounts;
  };
  const row = async (which: 0 | 1) => {
    const { bmc } = service.operator;
    return (await call(bmc, bmc.getBmc, { key: macs[which], showSecrets: false })).bmc;
  };
  return { boot, accounts, row };
}

test("a password of 20 characters is found, logs in from remote, and is tried first on the next BMC of the kind", async () => {
  const { boot, accounts } = await openSite();
  expect(await boot(0)).toMatchObject({ kind: "linked", bmc: { slot: 3 } });
  const [last, ...refused] = await accounts(0);
  expect(last).toMatchObject({ state: AccountState.ACCOUNT_STATE_VERIFIED, slot: 3 });
  expect(last?.password).toHaveLength(20);
  expect(refused.map(({ password }) => password.length)).toEqual([16, 16]);
  expect(new Set([last, ...refused].map((each) => each?.userName)).size).toBe(1);

  expect(await boot(1)).toMatchObject({ kind: "linked" });
  expect((await accounts(1)).map(({ password }) => password.length)).toEqual([20]);
});

test("a rotation in which every password is refused: the row says why, and the service gets in as before", async () => {
  const { boot, accounts, row } = await openSite(strict);
  await boot(0);
  const faults: Fault[] = [{ on: ({ cmd, data }) => cmd === 0x47 && data[1] === 2, effect: { answer: 0xcc } }];
  await expect(boot(0, { rotate: true, faults })).rejects.toThrow("the BMC refuses every password for user ID 3");
  expect(await accounts(0)).toHaveLength(1 + 8);
  const { state, stateReason } = (await row(0)) ?? {};
  expect(stateReason).toContain("16 characters in 16 bytes (CCh, CCh)");
  expect(state).not.toBe(State.STATE_FAILED);

  const again = await boot(0);
  expect(["linked", "recognised"]).toContain(again?.kind);
  const verified = (await accounts(0)).filter((each) => each.state === AccountState.ACCOUNT_STATE_VERIFIED);
  expect(verified).toHaveLength(1);
});
