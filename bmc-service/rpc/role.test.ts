import type { PeerCertificate } from "node:tls";
import { expect, test } from "vitest";
import { identityOf, plaintextIdentity, requireRole, roleOf } from "./role.ts";

const certificateWith = (units: string | string[]) =>
  identityOf(
    { subject: { OU: units, CN: "somebody" }, issuer: {}, fingerprint256: "00" } as unknown as PeerCertificate,
    { issuer: undefined, shared: [] },
  );

test("a certificate with one role has it, whatever else its subject names", () => {
  const identity = certificateWith(["DevOps", "operator"]);
  expect(roleOf(identity)).toBe("operator");
  expect(requireRole(identity, "viewer", "ListBmcs")).toMatchObject({ role: "operator", name: "somebody" });
});

test.each([[["viewer", "admin"]], [["admin", "viewer"]], [["agent", "operator"]]])(
  "a certificate with the roles %j has none of them",
  (units) => {
    const identity = certificateWith(units);
    expect(roleOf(identity)).toBeUndefined();
    for (const needed of ["agent", "viewer", "operator", "admin"] as const) {
      expect(() => requireRole(identity, needed, "GetBmc")).toThrow("has several roles (OU)");
    }
  },
);

test("without TLS nobody is told apart", () => {
  expect(roleOf(plaintextIdentity)).toBe("admin");
  expect(requireRole(plaintextIdentity, "agent", "Begin").role).toBe("agent");
});
