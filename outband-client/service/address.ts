import { isIP } from "node:net";
import { ServiceError } from "./service-error.ts";

/** Where the BMC service listens. */
export interface ServiceAddress {
  /** Name or IP address, without brackets. */
  readonly host: string;
  /** TCP port, 1 to 65535. */
  readonly port: number;
  /** "HOST:PORT", with brackets around an IPv6 address. */
  readonly text: string;
}

const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
// A name's last label is never all digits (RFC 3696 section 2): "10.0.0.300" is a mistyped address.
const hostName = new RegExp(`^(?!(?:.*\\.)?[0-9]+$)${label}(?:\\.${label})*\\.?$`, "i");

/**
 * Reads "HOST:PORT": a DNS name, an IPv4 address, or an IPv6 address in brackets.
 * @throws ServiceError "configuration"
 */
export function parseServiceAddress(text: string): ServiceAddress {
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text.trim());
  const host = parts?.[1] ?? parts?.[2] ?? "";
  const port = Number(parts?.[3]);
  const bracketed = parts?.[1] !== undefined;
  const known = bracketed ? isIP(host) === 6 : isIP(host) === 4 || (host.length <= 253 && hostName.test(host));
  if (!known || port < 1 || port > 65_535) {
    throw new ServiceError(
      "configuration",
      `service address ${JSON.stringify(text.slice(0, 100))}: give HOST:PORT, for example bmc.example.org:4443, 10.0.0.1:4443 or [2001:db8::1]:4443`,
    );
  }
  return { host, port, text: bracketed ? `[${host}]:${port}` : `${host}:${port}` };
}
