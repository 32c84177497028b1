import { isIP } from "node:net";

/** A host (name or address without brackets) and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const form = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/i;

/**
 * Reads "127.0.0.1:4443", "[::1]:4443" or "bmc.example:623"; undefined for anything else.
 * Port 0 (any free one) is accepted.
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, ipv6, name, digits] = form.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? { host: ipv6, port } : undefined;
  return name === undefined ? undefined : { host: name, port };
}

/** "10.0.0.8:623", "[2001:db8::7]:623". */
export function formatEndpoint({ host, port }: Endpoint): string {
  return `${formatHost(host)}:${port}`;
}

/** "10.0.0.8", "[2001:db8::7]". */
export function formatHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
