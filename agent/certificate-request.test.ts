import "reflect-metadata";

import { createPublicKey } from "node:crypto";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { expect, test } from "vitest";
import { makeCertificateRequest } from "./certificate-request.ts";

const uuid = "5a1c4e3e-6a1b-4b7e-9d5b-0f8a3c2d1e01";

test("the request names the machine, and its signature holds for the key that it asks for", async () => {
  const { der, key } = makeCertificateRequest(uuid);
  const request = new Pkcs10CertificateRequest(der);
  expect(request.subject).toBe(`CN=${uuid}`);
  expect(await request.verify()).toBe(true);
  const own = createPublicKey(key).export({ type: "spki", format: "der" });
  expect(Buffer.from(request.publicKey.rawData)).toEqual(own);
  expect(request.attributes).toEqual([]);
});

test("each one has a key of its own, and fits into the field of the contract", () => {
  const [one, two] = [makeCertificateRequest(uuid), makeCertificateRequest(uuid)];
  expect(one.key.equals(two.key)).toBe(false);
  expect(one.der.length).toBeLessThanOrEqual(1_024);
});
