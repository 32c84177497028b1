/**
 * The IPMI driver that has reserved one of these ports, by the kernel's list (/proc/ioports: lines "0ca2-0ca2 : ipmi_si",
 * indented below whoever reserved more). Two of them on one interface would take each other's bytes.
 */
export function driverHolding(ports: readonly number[], list: string): string | undefined {
  for (const line of list.split("\n")) {
    const [, first, last, holder] = /^\s*([0-9a-f]+)-([0-9a-f]+) : (ipmi\S*)/.exec(line) ?? [];
    if (first === undefined || last === undefined) continue;
    const [from, to] = [Number.parseInt(first, 16), Number.parseInt(last, 16)];
    if (ports.some((port) => port >= from && port <= to)) return holder;
  }
  return undefined;
}
