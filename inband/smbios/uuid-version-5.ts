import { createHash } from "node:crypto";
import { guidToUuid, parseUuid } from "../../ipmi/guid.ts";

/**
 * The UUID of a name within a name space. RFC 9562 §5.5; the same as `uuidgen --sha1 --namespace NAMESPACE --name NAME`.
 * @param namespace a UUID; anything else is a RangeError
 */
export function uuidVersion5(namespace: string, name: string): string {
  const space = parseUuid(namespace);
  if (space === undefined) throw new RangeError(`${namespace} is no UUID`);
  const uuid = createHash("sha1").update(space).update(name, "utf8").digest().subarray(0, 16);
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x50;
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
  return guidToUuid(uuid, "rfc4122");
}
