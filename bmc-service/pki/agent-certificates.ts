import type { PeerCertificate } from "node:tls";
import { isDeepStrictEqual } from "node:util";

/** Attributes of a certificate's subject and the values that they must have. */
export type SubjectAttributes = ReadonlyMap<string, string>;

/** Which certificates are agents', whatever their OU says. */
export interface AgentCertificates {
  /** Name of the authority of this service, whose certificates are good for one enrolment; undefined: it has none. */
  readonly issuer: PeerCertificate["issuer"] | undefined;
  /** Subjects of certificates that agents share. */
  readonly shared: readonly SubjectAttributes[];
}

/** As OpenSSL calls those that certificates have (RFC 4514 §3, and two of PKCS #9 and X.520). */
const attributes = ["CN", "OU", "O", "L", "ST", "C", "DC", "UID", "emailAddress", "serialNumber"];

/**
 * Reads "CN=grpc-client" or "CN=grpc-client,OU=DevOps"; a comma in a value has a backslash before it.
 * @throws RangeError that says what is wrong with it
 */
export function parseSubject(text: string): SubjectAttributes {
  const subject = new Map<string, string>();
  for (const part of text.split(/(?<!\\),/)) {
    const [, type = "", value = ""] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/s.exec(part) ?? [];
    const name = attributes.find((each) => each.toLowerCase() === type.toLowerCase());
    const wrong = (problem: string) => new RangeError(`"${part}" ${problem}`);
    if (name === undefined) throw wrong(`does not begin with an attribute (${attributes.join(", ")}) and "="`);
    if (value === "") throw wrong("has no value");
    if (subject.has(name)) throw wrong("names an attribute a second time");
    subject.set(name, value.replaceAll("\\,", ","));
  }
  return subject;
}

/** Whether a certificate is one that agents share: its subject has all attributes of one that was named. */
export function isShared({ subject }: Pick<PeerCertificate, "subject">, { shared }: AgentCertificates): boolean {
  const has = (name: string, value: string) => valuesOf(Reflect.get(subject, name)).includes(value);
  return shared.some((named) => [...named].every(([name, value]) => has(name, value)));
}

/** Whether a certificate was issued for one enrolment. */
export function isIssuedHere(certificate: Pick<PeerCertificate, "issuer">, { issuer }: AgentCertificates): boolean {
  return issuer !== undefined && isDeepStrictEqual({ ...certificate.issuer }, { ...issuer });
}

/** What a subject says in an attribute, which may stand there more than once. */
export function valuesOf(value: unknown): readonly string[] {
  return [value].flat().filter((each) => typeof each === "string");
}
