/**
 * GUIDs of IPMI and UUIDs of SMBIOS: the same 16 bytes, sent in three orders.
 * - "ipmi": the whole turned round, least significant byte of the node first (IPMI 2.0 §20.8; OpenBMC)
 * - "smbios": the first three fields least significant byte first, the rest as written (SMBIOS 2.6 and newer, §7.2.1)
 * - "rfc4122": as written
 */
export const guidOrders = ["ipmi", "smbios", "rfc4122"] as const;

export type GuidOrder = (typeof guidOrders)[number];

/** Reads "8-4-4-4-12" hexadecimal digits into bytes as written; undefined for anything else. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined;
  const pairs = text.replaceAll("-", "").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** Version of a UUID of the variant of RFC 9562 (§4.1, §4.2): how it was made; undefined for other variants, and for no UUID. */
export function uuidVersion(text: string): number | undefined {
  const [, version] =
    /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.exec(text) ?? [];
  return version === undefined ? undefined : Number.parseInt(version, 16);
}

/** Sixteen bytes as UUID text, lower case. Anything but 16 bytes is a RangeError. */
export function guidToUuid(guid: Uint8Array, order: GuidOrder): string {
  if (guid.length !== 16) throw new RangeError(`a GUID has 16 bytes, not ${guid.length}`);
  const hex = Array.from(reorder(guid, order), (each) => each.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** UUID text as the sixteen bytes sent in the given order; undefined if the text is no UUID. */
export function uuidToGuid(uuid: string, order: GuidOrder): Uint8Array | undefined {
  const written = parseUuid(uuid);
  return written === undefined ? undefined : reorder(written, order);
}

/** Each of the orders is its own inverse. */
function reorder(data: Uint8Array, order: GuidOrder): Uint8Array {
  switch (order) {
    case "ipmi":
      return data.toReversed();
    case "smbios":
      return Uint8Array.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15], (i) => data[i] ?? 0);
    case "rfc4122":
      return data.slice();
    default:
      return order satisfies never;
  }
}

/** The UUIDs that sixteen bytes may stand for. */
export function uuidForms(guid: Uint8Array): Readonly<Record<GuidOrder, string>> {
  return {
    ipmi: guidToUuid(guid, "ipmi"),
    smbios: guidToUuid(guid, "smbios"),
    rfc4122: guidToUuid(guid, "rfc4122"),
  };
}

/** Whether the bytes that a BMC answered are this UUID in any of the three orders. */
export function sameGuid(uuid: string, guid: Uint8Array): boolean {
  if (guid.length !== 16) return false;
  const wanted = uuid.toLowerCase();
  return guidOrders.some((order) => guidToUuid(guid, order) === wanted);
}

/**
 * UUIDs that many boards share because their maker never set one: they identify nothing. Gathered from bug
 * reports of systemd, OpenBMC, GLPI and SolidRun, and AMI's default.
 */
const bogusUuids = [
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
  "03000200-0400-0500-0006-000700080009",
  "00020003-0004-0005-0006-000700080009",
  "01010101-0101-0101-0101-010101010101",
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "01020304-0506-0708-090a-0b0c0d0e0f10",
  "6ab5b300-538d-1014-9fb5-b0684d007b53",
  "00000000-0000-0000-0807-060504030201",
  "fefefefe-fefe-fefe-fefe-fefefefefefe",
  "deadbeef-dead-beef-dead-beefdeadbeef",
  "8a95d198-7f46-11e5-bf8b-08002704d48e",
] as const;

/** Stored in one order and read in another: two reorderings in a row reach every text that a bogus UUID can take. */
const bogusInAnyOrder: ReadonlySet<string> = new Set(
  bogusUuids.flatMap((uuid) =>
    guidOrders.flatMap((stored) =>
      guidOrders.flatMap((read) => {
        const guid = uuidToGuid(uuid, stored);
        return guid === undefined ? [] : [guidToUuid(guid, read)];
      }),
    ),
  ),
);

/** Whether a UUID is one of those that identify nothing, in any byte order. */
export function isBogusUuid(uuid: string): boolean {
  return bogusInAnyOrder.has(uuid.toLowerCase());
}
