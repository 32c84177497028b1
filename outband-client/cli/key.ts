import { parseUuid } from "../../ipmi/guid.ts";
import { formatMac, parseMac } from "../../ipmi/mac.ts";
import { UsageError } from "./failure.ts";

/**
 * The key of a row in the service's spelling: a MAC address (upper or lower case, colons or hyphens) or a machine UUID; of several
 * machines with one UUID, the UUID, "/" and what the service tells them apart by.
 * @throws UsageError
 */
export function parseKey(text: string): string {
  const mac = parseMac(text);
  if (mac) return formatMac(mac);
  if (parseUuid(text)) return text.toLowerCase();
  const [uuid = "", ...more] = text.split("/");
  if (more.length > 0 && parseUuid(uuid)) return [uuid.toLowerCase(), ...more].join("/");
  throw new UsageError(
    `${JSON.stringify(text.slice(0, 100))} is neither a MAC address (92:33:b8:0e:df:8f) nor a machine UUID (37c43c25-69fe-4f88-b69d-4e71dc4070d0)`,
  );
}

/**
 * The MAC address of a BMC in the service's spelling.
 * @throws UsageError
 */
export function parseBmcMac(text: string): string {
  const mac = parseMac(text);
  if (mac) return formatMac(mac);
  throw new UsageError(`${JSON.stringify(text.slice(0, 100))} is no MAC address of a BMC (92:33:b8:0e:df:8f)`);
}

/**
 * The UUID of a machine in the service's spelling.
 * @throws UsageError
 */
export function parseMachineUuid(text: string): string {
  if (parseUuid(text)) return text.toLowerCase();
  throw new UsageError(
    `${JSON.stringify(text.slice(0, 100))} is no machine UUID (37c43c25-69fe-4f88-b69d-4e71dc4070d0)`,
  );
}
