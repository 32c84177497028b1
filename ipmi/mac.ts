/** Six bytes as "52:54:00:b1:00:01": lower case, colons. Anything but 6 bytes is a RangeError. */
export function formatMac(data: Uint8Array): string {
  if (data.length !== 6) throw new RangeError(`a MAC address has 6 bytes, not ${data.length}`);
  return Array.from(data, (each) => each.toString(16).padStart(2, "0")).join(":");
}

/** Reads six pairs of hexadecimal digits, all joined by colons or all by hyphens; undefined for anything else. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}(?:(?::[0-9a-f]{2}){5}|(?:-[0-9a-f]{2}){5})$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16));
}

/**
 * Why a MAC address cannot be that of a BMC's network interface; undefined if it can.
 * The group bit is bit 0 of the first byte (IEEE 802-2014 §8.2).
 */
export function macProblem(data: Uint8Array): string | undefined {
  if (data.length !== 6) return `it has ${data.length} bytes, not 6`;
  if (data.every((each) => each === 0)) return "it is all zero";
  if (data.every((each) => each === 0xff)) return "it is the broadcast address";
  if (((data[0] ?? 0) & 1) === 1) return "it is a multicast address";
  return undefined;
}
