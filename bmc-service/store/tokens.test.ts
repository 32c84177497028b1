import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { machineOf, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { SqliteStore } from "./sqlite-store.ts";

const minuteMs = 60_000;
const start = 1_700_000_000_000;
const at = (ms: number) => new Date(start + ms);
let directory: string;
let store: SqliteStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tokens-"));
  store = new SqliteStore(join(directory, "store.db"), randomBytes(32));
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function create(id: string, createdAt: Date, uses = 1, minutes = 15): Promise<Buffer> {
  const hash = randomBytes(32);
  const expiresAt = new Date(createdAt.getTime() + minutes * minuteMs);
  await store.createToken({ id, hash, machineUuid: "", createdAt, expiresAt, uses, createdBy: "operator" });
  return hash;
}

/** @returns by what the session is found */
async function begin(tokenHash: Uint8Array, now: Date, keyHash = randomBytes(32)) {
  const binding = {
    certificate: randomBytes(32),
    keyHash,
    tokenHash,
    heardMs: () => undefined,
    admitNew: () => undefined,
  };
  const expiresAt = new Date(now.getTime() + 60 * minuteMs);
  const session = { id: randomUUID(), tokenHash: randomBytes(32), machine: machineOf(uuid1), bootId: "boot" };
  await store.beginSession({ ...session, agentVersion: "test", claimedBy: uuid1, binding, now, expiresAt });
  return session.tokenHash;
}

describe("time", () => {
  test("a token is good to its last millisecond", async () => {
    const hash = await create("rvt_a", at(0));
    await begin(hash, at(15 * minuteMs - 1));
    await expect(begin(hash, at(15 * minuteMs))).rejects.toMatchObject({ problem: "expired" });
  });

  test("a call that is repeated after that is still the call of before, and ends with it", async () => {
    const hash = await create("rvt_a", at(0));
    const keyHash = randomBytes(32);
    await begin(hash, at(0), keyHash);
    for (const ms of [20, 40, 59]) {
      const session = await begin(hash, at(ms * minuteMs), keyHash);
      expect(await store.session(session, at(60 * minuteMs - 1))).toMatchObject({ expiresAt: at(60 * minuteMs) });
    }
    await expect(begin(hash, at(59 * minuteMs))).rejects.toMatchObject({ problem: "expired" });
    await expect(begin(hash, at(60 * minuteMs), keyHash)).rejects.toMatchObject({ problem: "expired" });
    expect(await store.tokens()).toMatchObject([{ used: 1 }]);
  });

  test("one look tells what a token is good for, and writes nothing", async () => {
    const hash = await create("rvt_a", at(0));
    const use = { machineUuid: uuid1, bootId: "boot" };
    const look = (more: object, ms: number) => store.lookAtToken(hash, { ...use, ...more }, at(ms));
    expect(await store.lookAtToken(randomBytes(32), use, at(0))).toEqual({ problem: "unknown" });
    expect(await look({}, 0)).toMatchObject({ token: { id: "rvt_a", used: 0 } });
    expect(await look({}, 15 * minuteMs)).toMatchObject({ problem: "expired" });
    const keyHash = randomBytes(32);
    await begin(hash, at(0), keyHash);
    const until = at(60 * minuteMs);
    expect(await look({}, minuteMs)).toMatchObject({ taken: { until, isRepeated: true } });
    expect(await look({ keyHash }, minuteMs)).toMatchObject({ taken: { until, isRepeated: true } });
    expect(await look({ keyHash: randomBytes(32) }, minuteMs)).toMatchObject({ taken: { until, isRepeated: false } });
    expect(await look({ bootId: "another" }, minuteMs)).toMatchObject({ taken: { until, isRepeated: false } });
    expect(await look({ machineUuid: uuid2 }, minuteMs)).toMatchObject({ problem: "spent" });
    expect(await look({ machineUuid: uuid2 }, 60 * minuteMs)).toMatchObject({ problem: "expired" });
  });

  test("a machine that was not handed over begins again until the token's time is over, and no longer than before", async () => {
    const hash = await create("rvt_a", at(0), 1, 120);
    const ends = async (ms: number) => (await store.session(await begin(hash, at(ms)), at(ms)))?.expiresAt;
    expect(await ends(0)).toEqual(at(60 * minuteMs));
    expect(await ends(50 * minuteMs)).toEqual(at(60 * minuteMs));
    expect(await ends(60 * minuteMs)).toEqual(at(120 * minuteMs));
    await expect(begin(hash, at(120 * minuteMs))).rejects.toMatchObject({ problem: "expired" });
    expect(await store.tokens()).toMatchObject([{ used: 1 }]);
  });

  test("the hand-off of a session that another one has followed ends no use", async () => {
    const hash = await create("rvt_a", at(0));
    const [former, latter] = [await begin(hash, at(0)), await begin(hash, at(1))];
    const end = async (tokenHash: Buffer) => {
      const session = await store.session(tokenHash, at(2));
      if (session !== undefined) await store.handedOff(session, new Date());
    };
    await end(former);
    await end(await begin(hash, at(2)));
    await expect(begin(hash, at(3))).rejects.toMatchObject({ problem: "spent" });
    expect(latter).not.toEqual(former);
  });

  test("one that was over a month ago is forgotten when another is made", async () => {
    await create("rvt_a", at(0));
    await create("rvt_b", at(29 * 24 * 60 * minuteMs));
    expect(await store.tokens()).toHaveLength(2);
    await create("rvt_c", at(31 * 24 * 60 * minuteMs));
    expect((await store.tokens()).map(({ id }) => id)).toEqual(["rvt_c", "rvt_b"]);
  });
});

test("a token stays revoked from when it was revoked first", async () => {
  const hash = await create("rvt_a", at(0));
  await store.revokeToken("rvt_a", at(1));
  expect(await store.revokeToken("rvt_a", at(2))).toMatchObject({ revokedAt: at(1) });
  await expect(begin(hash, at(3))).rejects.toMatchObject({ problem: "revoked" });
  await expect(store.revokeToken("rvt_x", at(3))).rejects.toMatchObject({ code: "no-such-token" });
});

describe("a token that its maker asks to keep", () => {
  const keep = (id: string, now: Date, createdBy = "operator") => store.keepToken(id, createdBy, now);
  const revokedAt = async () => (await store.tokens()).map((token) => token.revokedAt);

  test("stays while it is unused and half of its time is left, and is revoked after that", async () => {
    await create("rvt_a", at(0));
    expect(await keep("rvt_a", at(7.5 * minuteMs))).toMatchObject({ id: "rvt_a", used: 0 });
    expect(await keep("rvt_a", at(7.5 * minuteMs + 1))).toBeUndefined();
    expect(await revokedAt()).toEqual([at(7.5 * minuteMs + 1)]);
    expect(await keep("rvt_a", at(0))).toBeUndefined();
  });

  test("and was used is not kept, and its enrolment is not ended", async () => {
    await begin(await create("rvt_a", at(0)), at(1));
    expect(await keep("rvt_a", at(2))).toBeUndefined();
    expect(await revokedAt()).toEqual([undefined]);
  });

  test("and somebody else has made is left alone, as is one that nobody has made", async () => {
    await create("rvt_a", at(0));
    expect(await keep("rvt_a", at(14 * minuteMs), "boot for 52:54:00:12:34:56")).toBeUndefined();
    expect(await keep("rvt_b", at(1))).toBeUndefined();
    expect(await revokedAt()).toEqual([undefined]);
  });
});
