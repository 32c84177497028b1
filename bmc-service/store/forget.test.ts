import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { InbandProof, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { factsOf, mac1, mac2, machineOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { SqliteStore } from "./sqlite-store.ts";
import type { Session } from "./store.ts";

const minuteMs = 60_000;
const start = new Date(1_700_000_000_000);
const after = (ms: number) => new Date(start.getTime() + ms);
/** Whose time is over by then. */
const later = after(60 * minuteMs);
let directory: string;
let store: SqliteStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "forget-"));
  store = new SqliteStore(join(directory, "store.db"), randomBytes(32));
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** Forgets what is older than a minute after the start. */
const forget = (now = later) =>
  store.forget({ unproved: after(minuteMs), begun: after(minuteMs), conflicts: after(minuteMs) }, now);
const stored = () => store.countStored(later);

async function begin(uuid: string, now = start, lifeMs = minuteMs): Promise<Session> {
  const tokenHash = randomBytes(32);
  const binding = {
    certificate: Buffer.alloc(32),
    keyHash: Buffer.alloc(32),
    tokenHash: undefined,
    heardMs: () => undefined,
    admitNew: () => undefined,
  };
  const session = { id: randomUUID(), tokenHash, machine: machineOf(uuid), bootId: randomUUID(), claimedBy: "agent" };
  const expiresAt = new Date(now.getTime() + lifeMs);
  await store.beginSession({ ...session, agentVersion: "test", binding, now, expiresAt });
  return await again(tokenHash, now);
}

async function again(tokenHash: Uint8Array, now: Date): Promise<Session> {
  const session = await store.session(tokenHash, now);
  if (session === undefined) throw new Error("the session is not there");
  return session;
}

async function escrowed(uuid: string, mac: string): Promise<[own: Session, id: string]> {
  const session = await begin(uuid);
  const row = await store.reportBmc(session, factsOf(mac), start);
  const own = { ...session, bmcKey: row.key };
  const account = { userName: "rivetab12", password: Secret.fromBytes(Buffer.from("secret")), slot: 3 };
  return [own, await store.escrowAccount(own, account, start)];
}

async function confirmed(uuid: string, mac: string): Promise<string> {
  const [own, id] = await escrowed(uuid, mac);
  const proof = InbandProof.INBAND_PROOF_PASSWORD_TESTED;
  const passwordForm = PasswordForm.PASSWORD_FORM_SIXTEEN;
  await store.confirmAccount(own, id, { slot: 3, channel: 1, proof, passwordForm }, start);
  return id;
}

/** The BMC has refused the only account of the row. */
async function refused(uuid: string, mac: string): Promise<void> {
  const id = await confirmed(uuid, mac);
  await store.settleHandOff(mac, { kind: "failed", considered: [id], refused: [id], reason: "test" }, start);
}

async function linked(uuid: string, mac: string): Promise<void> {
  const id = await confirmed(uuid, mac);
  await store.settleHandOff(
    mac,
    {
      ...{ kind: "handed off", considered: [id], refused: [], nameOf: id, passwordOf: id, slot: 3 },
      ...{ lan: { channel: 1, mac }, remoteGuid: "", chassis: undefined, detail: "test" },
    },
    start,
  );
}

test("a row that no remote login has proved goes, with its accounts, history and machine; one that was proved stays", async () => {
  await refused(uuid1, mac1);
  await linked(uuid2, mac2);
  const changes: string[] = [];
  store.subscribe(({ key, deleted }) => void (deleted && changes.push(key)));
  expect(await forget()).toMatchObject({ sessions: 2, rows: 1 });
  expect(changes).toEqual([mac1]);
  expect(await store.history(mac1, 10)).toEqual([]);
  expect(await store.accounts(mac1)).toEqual([]);
  expect(await stored()).toEqual({ sessions: 0, machines: 1, bmcs: 1 });
  expect((await store.bmcs()).map(({ row }) => [row.key, row.state])).toEqual([[mac2, State.STATE_LINKED]]);
  expect(await forget()).toEqual({ sessions: 0, rows: 0, machines: 0, conflicts: 0 });
});

test.each([
  ["confirmed", true],
  ["put into escrow", false],
])(
  "one with an account that was %s and that no login has tried stays: its password may be the only one",
  async (_, isConfirmed) => {
    if (isConfirmed) await confirmed(uuid1, mac1);
    else await escrowed(uuid1, mac1);
    expect(await forget()).toMatchObject({ sessions: 1, rows: 0 });
    expect(await store.accounts(mac1)).toMatchObject([{ userName: "rivetab12" }]);
  },
);

test("one whose machine was heard since stays, and so does one that is being enrolled", async () => {
  await refused(uuid1, mac1);
  await store.reportBmc(await begin(uuid1, after(2 * minuteMs)), factsOf(mac1), after(2 * minuteMs));
  await refused(uuid2, mac2);
  await begin(uuid2, after(minuteMs), 120 * minuteMs);
  expect(await forget()).toMatchObject({ rows: 0, machines: 0 });
});

test("a machine without BMC and one that is closed in-band stay listed", async () => {
  await store.reportNoBmc(await begin(uuid1), { tried: [] }, start);
  await store.abort(await begin(uuid2), { step: "set account", reason: "closed", inbandLocked: true }, start);
  expect(await forget()).toMatchObject({ rows: 0, machines: 0 });
  expect((await store.bmcs()).map(({ row }) => row.state)).toEqual([State.STATE_UNMANAGED, State.STATE_LOCKED]);
});

test("of what was never proved little history is kept, and it takes none from what was", async () => {
  await confirmed(uuid1, mac1);
  await linked(uuid2, mac2);
  const note = (mac: string, machineUuid: string) =>
    Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        store.addHistory({ at: start, mac, machineUuid, actor: "agent", action: "aborted", detail: String(i) }),
      ),
    );
  await note(mac1, uuid1);
  await note(mac2, uuid2);
  // As of another machine that says it has that UUID.
  await note("", uuid2);
  expect(await store.history(mac1, 1_000)).toHaveLength(50);
  const ofUuid = await store.history(uuid2, 1_000);
  expect(ofUuid.filter(({ mac }) => mac === "")).toHaveLength(50);
  expect(ofUuid.filter(({ mac }) => mac === mac2).length).toBeGreaterThan(60);
});

test("a machine that has only begun goes when its sessions have", async () => {
  await begin(uuid1);
  await begin(uuid2, start, 120 * minuteMs);
  expect(await stored()).toEqual({ sessions: 1, machines: 2, bmcs: 0 });
  expect(await forget()).toMatchObject({ sessions: 1, machines: 1 });
  expect(await forget(after(180 * minuteMs))).toMatchObject({ sessions: 1, machines: 1 });
});

test("a conflict goes when it was claimed and decided long ago, open or not", async () => {
  await linked(uuid1, mac1);
  await linked("5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e03", mac2);
  const claim = async (mac: string, at: Date) =>
    expect(store.reportBmc(await begin(uuid2, at), factsOf(mac), at)).rejects.toMatchObject({ code: "claim-conflict" });
  await claim(mac1, start);
  await claim(mac2, start);
  const [decided] = await store.conflicts(false);
  await store.resolveConflict(
    decided?.id ?? 0,
    ConflictDecision.CONFLICT_DECISION_DISMISSED,
    "admin",
    after(2 * minuteMs),
  );
  expect(await forget()).toMatchObject({ conflicts: 1 });
  expect((await store.conflicts(true)).map(({ id }) => id)).toEqual([decided?.id]);
});

test("what is forgotten at once has an end: calls come in between", async () => {
  const uuids = Array.from({ length: 120 }, (_, i) => `5a1c4e3e-6a1b-4b7e-9d5b-${i.toString(16).padStart(12, "0")}`);
  await Promise.all(uuids.map((uuid) => begin(uuid)));
  const rounds = [await forget(), await forget(), await forget(), await forget()];
  expect(rounds.map(({ machines }) => machines)).toEqual([50, 50, 20, 0]);
});
