/**
 * Brings up the interface that is named, with all that is real, and prints what came of it: `node bring-up-network.ts veth0
 * [KEY=VALUE]...`. With `again=` it gives up first what it got before.
 */

import { networkInterfaces } from "node:os";
import { applyLease, takeAway } from "../../agent/init/network/apply-network.ts";
import { getLease, type NetworkOptions, realNetworkWorld } from "../../agent/init/network/bring-up.ts";
import { interfaceNamed } from "../../agent/init/network/interfaces.ts";
import { parseIpParameter } from "../../agent/init/network/ip-parameter.ts";
import { systemClock } from "../../inband/clock.ts";

const [name = "", ...words] = process.argv.slice(2);
const given = new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
const ip = given.get("ip");
const options: NetworkOptions = {
  clock: systemClock,
  interface: undefined,
  limitMs: Number(given.get("limit") ?? 25) * 1000,
  note: (text) => process.stderr.write(`${text}\n`),
  ...(ip === undefined ? {} : { ips: [parseIpParameter(ip)] }),
  reach: given.get("reach"),
};
// a veth has no hardware behind it, so it is not among the adapters
const world = { ...realNetworkWorld, ipv6: realNetworkWorld.ipv6, list: () => [interfaceNamed(name)] };
if (given.has("again")) {
  const former = await getLease(options, world);
  applyLease(former);
  takeAway(former, undefined);
  process.stderr.write(`given up: ${networkInterfaces()[name]?.length ?? 0} addresses\n`);
}
const bound = await getLease(options, world);
const problems = applyLease(bound);
process.stdout.write(`${JSON.stringify({ ...bound, problems })}\n`);
process.exit();
