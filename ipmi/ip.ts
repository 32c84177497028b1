/** Four bytes, most significant first, as "10.0.0.7". Anything but 4 bytes is a RangeError. */
export function formatIpv4(data: Uint8Array): string {
  if (data.length !== 4) throw new RangeError(`an IPv4 address has 4 bytes, not ${data.length}`);
  return data.join(".");
}

/** Reads four decimal numbers without leading zeros; undefined for anything else. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const found = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(text);
  if (found === null) return undefined;
  const [, a, b, c, d] = found;
  const numbers = [Number(a), Number(b), Number(c), Number(d)];
  return numbers.some((number) => number > 255) ? undefined : new Uint8Array(numbers);
}

/** Sixteen bytes in the canonical form of RFC 5952 §4. Anything but 16 bytes is a RangeError. */
export function formatIpv6(data: Uint8Array): string {
  if (data.length !== 16) throw new RangeError(`an IPv6 address has 16 bytes, not ${data.length}`);
  const groups = Array.from({ length: 8 }, (_, i) => ((data[2 * i] ?? 0) << 8) | (data[2 * i + 1] ?? 0));
  const zeros = longestZeroRun(groups);
  const text = (from: number, to?: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return zeros.length < 2 ? text(0) : `${text(0, zeros.start)}::${text(zeros.start + zeros.length)}`;
}

/** RFC 5952 §4.2.3: the longest run of zero groups is shortened, the first of equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}

/** Reads the text forms of RFC 4291 §2.2, an IPv4 tail included, without a zone; undefined for anything else. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const parsed = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  const head = parsed[0];
  const tail = halves.length === 2 ? parsed[1] : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const data: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    const ipv4 = last && i === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) {
      data.push(...ipv4);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      data.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return data;
}

/** What an address can be used for. */
export type IpKind = "unspecified" | "loopback" | "link-local" | "multicast" | "broadcast" | "unicast";

/** Tells the kind of an address of 4 or 16 bytes (RFC 6890, RFC 4291 §2.4). Any other size is a RangeError. */
export function ipKind(address: Uint8Array): IpKind {
  if (address.length !== 4 && address.length !== 16) {
    throw new RangeError(`an IP address has 4 or 16 bytes, not ${address.length}`);
  }
  const first = address[0] ?? 0;
  const second = address[1] ?? 0;
  if (address.every((each) => each === 0)) return "unspecified";
  if (address.length === 4) {
    if (first === 0) return "unspecified";
    if (first === 127) return "loopback";
    if (first === 169 && second === 254) return "link-local";
    if (first >= 224 && first < 240) return "multicast";
    return address.every((each) => each === 255) ? "broadcast" : "unicast";
  }
  if (address.subarray(0, 15).every((each) => each === 0) && address[15] === 1) return "loopback";
  if (first === 0xfe && (second & 0xc0) === 0x80) return "link-local";
  return first === 0xff ? "multicast" : "unicast";
}
