import type { BmcClient } from "../../outband-client/service/bmc.ts";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { FleetMachine } from "./fleet-machine.ts";

/** So many passwords are looked at, evenly over all machines: each look is written to the audit log. */
const passwordsLookedAt = 100;
const limitMs = 60_000;

/**
 * Looks whether everything that the service has acknowledged is there.
 * @param enrolled machines whose enrolment has come to its end
 * @param remote whether they are linked then
 * @returns what is not, one sentence each
 */
export async function lost(
  service: Pick<BmcClient, "listBmcs" | "getBmc">,
  enrolled: readonly FleetMachine[],
  remote: boolean,
): Promise<string[]> {
  const wanted = remote ? State.STATE_LINKED : State.STATE_CONFIRMED;
  const { bmcs } = await service.listBmcs({}, AbortSignal.timeout(limitMs));
  const rows = new Map(bmcs.map((row) => [row.mac, row]));
  const problems = enrolled.flatMap(({ mac, uuid, userName }) => {
    const row = rows.get(mac);
    if (row === undefined) return [`${mac}: there is no such row`];
    return [
      ...(row.machineUuid === uuid ? [] : [`${mac}: it belongs to machine "${row.machineUuid}", not to ${uuid}`]),
      ...(row.account?.userName === userName ? [] : [`${mac}: account "${row.account?.userName}", not "${userName}"`]),
      ...(row.state === wanted ? [] : [`${mac}: state ${row.state} (${row.stateReason}), not ${wanted}`]),
      ...(row.inventory === undefined ? [`${mac}: it has no inventory`] : []),
    ];
  });
  const there = enrolled.filter(({ mac, userName }) => rows.get(mac)?.account?.userName === userName);
  const every = Math.ceil(there.length / passwordsLookedAt);
  for (const { mac, password } of there.filter((_, i) => i % every === 0)) {
    const { bmc } = await service.getBmc({ key: mac, showSecrets: true }, AbortSignal.timeout(limitMs));
    if (bmc?.account?.password !== password) problems.push(`${mac}: its password is another one`);
  }
  return problems;
}
