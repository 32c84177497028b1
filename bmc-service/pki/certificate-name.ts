import { isIP } from "node:net";

/** A name under which a server certificate can be verified. RFC 5280 §4.2.1.6. */
export interface CertificateName {
  readonly type: "dns" | "ip";
  readonly value: string;
}

/** Always in the server's certificate, so that the service can be reached on its own machine. */
export const loopbackNames: readonly CertificateName[] = [
  { type: "dns", value: "localhost" },
  { type: "ip", value: "127.0.0.1" },
  { type: "ip", value: "::1" },
];

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads a DNS name or an IP address.
 * @throws RangeError that says what is wrong with it
 */
export function parseCertificateName(text: string): CertificateName {
  const value = text.toLowerCase();
  if (isIP(value) !== 0) return { type: "ip", value };
  const wrong = (problem: string) => new RangeError(`"${text}" is neither a DNS name nor an IP address: ${problem}`);
  if (value === "") throw wrong("it is empty");
  if (/^\[.*\]$/.test(value)) throw wrong("write an IPv6 address without brackets");
  if (/^[^:]+:\d+$/.test(value)) throw wrong("leave out the port");
  if (value.includes("://")) throw wrong("it is a URL; give the host alone");
  if (value.includes("*")) throw wrong("wildcards are not supported; give each name");
  if (value.length > 253) throw wrong(`it has ${value.length} characters, at most 253 are allowed`);
  const labels = value.split(".");
  const bad = labels.find((each) => !label.test(each));
  if (bad !== undefined) {
    throw wrong(`"${bad}" is no label (1 to 63 letters, digits and hyphens, no hyphen at its ends)`);
  }
  if (/^\d+$/.test(labels.at(-1) ?? "")) throw wrong("the last label of a DNS name is not a number");
  return { type: "dns", value };
}
