import { connectBmcService } from "../../outband-client/service/bmc.ts";
import type { Surroundings } from "./trouble.ts";

/** Longer than a campaign has for one machine, s. */
const ttlSeconds = 3_600;

/** What `bmcctl token create --machine UUID` does, while nothing goes wrong. */
export async function makeToken(
  machineUuid: string,
  { site, clock }: Pick<Surroundings, "site" | "clock">,
): Promise<Uint8Array> {
  const { ca, operator } = site.pem;
  await using client = connectBmcService({ address: `127.0.0.1:${site.relay.port}`, ca, ...operator });
  const request = { machineUuid, ttlSeconds, uses: 1 };
  const { text } = await clock.outside(() => client.createToken(request, AbortSignal.timeout(10_000)));
  return text;
}
