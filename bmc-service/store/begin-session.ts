import { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { MachineBusyError } from "./enrolment-token.ts";
import { machineOf } from "./machines.ts";
import { sessionRow } from "./rows.ts";
import type { NewSession } from "./store.ts";
import type { Tables } from "./tables.ts";
import { spendToken } from "./tokens.ts";

/**
 * Stores a session and spends its token. A machine has one session at a time: an earlier one that is still in use ends, if who begins
 * is proved to be the same (its certificate, the repeated call, or a use that it takes now of a token that is good for this machine only).
 * @returns the key of the machine
 * @throws TokenRefusedError, MachineBusyError, CrowdedError: nothing is stored then
 */
export function beginSession(tables: Tables, session: NewSession): string {
  const { database } = tables;
  const { machine, binding, now } = session;
  database.run("DELETE FROM sessions WHERE expires_at <= ?", now.getTime());
  const spent = binding.tokenHash && spendToken(database, binding.tokenHash, session);
  const { token, expiresAt, tookUse } = spent ?? { token: undefined, expiresAt: session.expiresAt, tookUse: false };
  const known = database.all("SELECT key FROM machines WHERE uuid = ?", machine.uuid).map(({ key }) => key);
  const machineKey = machineOf(tables, session);
  if (!known.includes(machineKey)) binding.admitNew();
  const isOwn = tookUse && token?.machineUuid === machine.uuid;
  endFormer(tables, machineKey, session, isOwn);
  database.run(
    `INSERT INTO sessions (id, token_hash, machine_key, boot_id, created_at, expires_at, machine, agent_version,
       claimed_by, certificate, key_hash, token_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.id,
    session.tokenHash,
    machineKey,
    session.bootId,
    now.getTime(),
    expiresAt.getTime(),
    Machine.encode(machine).finish(),
    session.agentVersion,
    session.claimedBy,
    binding.certificate,
    binding.keyHash,
    token?.id ?? null,
  );
  return machineKey;
}

/**
 * Of all machines with that UUID: which of them it is that begins is known only when its BMC is, and its serial number is no proof.
 * Those that are proved to be another one (with the same right to be here) go on.
 */
function endFormer({ database }: Tables, machineKey: string, { machine, bootId, binding }: NewSession, isOwn: boolean) {
  // The keys of a UUID are the UUID, and the UUID with "/" and more; "0" comes after "/".
  const sql = "SELECT * FROM sessions WHERE machine_key >= ? AND machine_key < ? AND ended = ''";
  for (const former of database.all(sql, machine.uuid, `${machine.uuid}0`).map(sessionRow)) {
    const isSame = same(former.certificate, binding.certificate);
    const isRepeated = former.bootId === bootId && same(former.keyHash, binding.keyHash);
    const heardMs = isSame || isRepeated || isOwn ? undefined : binding.heardMs(former.id, former.createdAt);
    if (heardMs !== undefined) throw new MachineBusyError(heardMs);
    if (former.machineKey !== machineKey) continue;
    const why = "another enrolment of this machine has begun since";
    database.run("UPDATE sessions SET ended = ?, inventory = NULL WHERE id = ?", why, former.id);
  }
}

function same(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one !== undefined && Buffer.compare(one, other) === 0;
}
