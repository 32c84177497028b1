import { createDecipheriv, createHmac, decapsulate } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sealAad, sealInfo } from "../../proto/report-seal.ts";
import { mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { accountOf } from "../fixture/reports.ts";
import { runProgram } from "../program.ts";
import { openPassword } from "./open-password.ts";
import { addReportKey, readReportKeys, reportKeysPath } from "./report-keys.ts";

let pki: string;
let path: string;
beforeEach(() => {
  pki = mkdtempSync(join(tmpdir(), "report-keys-"));
  path = reportKeysPath(pki);
});
afterEach(() => rmSync(pki, { recursive: true }));

async function importKey(...args: string[]) {
  const written: string[] = [];
  const world = {
    write: (text: string) => void written.push(text),
    error: (text: string) => void written.push(text),
    errorIsTerminal: false,
    environment: {},
    stop: async () => undefined,
  };
  const code = await runProgram(["import-key", "--pki", pki, ...args], world);
  return { code, text: written.join("") };
}

test("import-key makes a key once, prints its public half as YAML, and keeps older ones", async () => {
  const first = await importKey();
  expect(first).toEqual({ code: 0, text: expect.stringMatching(/^report_key: x25519:[A-Za-z0-9+/]{43}=\n$/) });
  expect(await importKey()).toEqual(first);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).not.toContain(first.text.slice("report_key: x25519:".length).trim());
  const second = await importKey("--new");
  expect(second.text).not.toBe(first.text);
  expect(await importKey()).toEqual(second);
  expect(await readReportKeys(path)).toHaveLength(2);
});

test.runIf(process.geteuid?.() === 0)(
  "root leaves it to the owner of the certificates (as another user there is nothing to do)",
  async () => {
    chownSync(pki, 1_234, 1_234);
    await importKey();
    expect(statSync(path)).toMatchObject({ uid: 1_234, gid: 1_234 });
  },
);

test.each([
  ["others may read it", () => chmodSync(path, 0o640), /mode 640: others may read it/],
  ["it holds no key", () => writeFileSync(path, "nonsense"), /holds no private key/],
  [
    "the key is garbled",
    () => writeFileSync(path, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"),
    /key 1 of 1 is no private key of X25519/,
  ],
])("a file is refused where %s, and not replaced", async (_what, harm, message) => {
  await addReportKey(path);
  harm();
  const before = readFileSync(path, "utf8");
  expect(await importKey()).toEqual({ code: 78, text: expect.stringMatching(message) });
  expect(readFileSync(path, "utf8")).toBe(before);
});

test("a password opens with the key it was sealed to, also an older one, for its own machine, BMC and account only", async () => {
  const key = await addReportKey(path);
  const account = await accountOf(key, { userName: "rivetab12", password: "Secret-pass-1234" });
  const other = await addReportKey(path);
  const keys = await readReportKeys(path);
  const open = (uuid: string, changed: object = {}, known = keys) =>
    openPassword(uuid, { ...account, ...changed }, known);
  expect((await open(uuid1)).toString()).toBe("Secret-pass-1234");
  const changed = "it was changed, or taken from another machine, BMC or account";
  await expect(open(uuid2)).rejects.toThrow(changed);
  await expect(open(uuid1, { mac: mac2 })).rejects.toThrow(changed);
  await expect(open(uuid1, { userName: "rivetxxxx" })).rejects.toThrow(changed);
  const { sealedPassword: sealed } = account;
  const short = { ...sealed, encapsulatedKey: Buffer.alloc(3) };
  await expect(open(uuid1, { sealedPassword: short })).rejects.toThrow(changed);
  await expect(open(uuid1, { sealedPassword: undefined })).rejects.toThrow("it has no sealed password");
  await expect(open(uuid1, { sealedPassword: { ...sealed, keyId: "s3cret" } })).rejects.toThrow("its key_id is none");
  await expect(open(uuid1, {}, [other])).rejects.toThrow(`sealed to key ${key.id}, this service has ${other.id}`);
  await expect(open(uuid1, {}, [])).rejects.toThrow("this service has no key (bmc-service import-key)");
});

test("what is sealed is HPKE as RFC 9180 has it, by another reading of it", async () => {
  const key = await addReportKey(path);
  const { sealedPassword } = await accountOf(key, { userName: "rivetab12", password: "Secret-pass-1234" });
  const { encapsulatedKey = Buffer.alloc(0), ciphertext = Buffer.alloc(0) } = sealedPassword ?? {};
  const shared = decapsulate(key.privateKey, encapsulatedKey); // DHKEM(X25519, HKDF-SHA256), §4.1
  const suite = Buffer.concat([Buffer.from("HPKE"), Buffer.from([0, 0x20, 0, 1, 0, 2])]); // §5.1
  const labelled = (label: string, ikm: Uint8Array) =>
    Buffer.concat([Buffer.from("HPKE-v1"), suite, Buffer.from(label), ikm]);
  const extract = (salt: Uint8Array, label: string, ikm: Uint8Array) =>
    createHmac("sha256", salt).update(labelled(label, ikm)).digest();
  const none = Buffer.alloc(0);
  const context = Buffer.concat([
    Buffer.from([0]),
    extract(none, "psk_id_hash", none),
    extract(none, "info_hash", Buffer.from(sealInfo)),
  ]);
  const secret = extract(shared, "secret", none);
  const expand = (label: string, length: number) => {
    const size = Buffer.from([0, length]);
    const blocks = createHmac("sha256", secret).update(
      Buffer.concat([size, labelled(label, context), Buffer.from([1])]),
    );
    return blocks.digest().subarray(0, length); // RFC 5869 §2.3, one block
  };
  const decipher = createDecipheriv("aes-256-gcm", expand("key", 32), expand("base_nonce", 12));
  decipher.setAAD(sealAad({ machineUuid: uuid1, mac: mac1, userName: "rivetab12" }));
  decipher.setAuthTag(ciphertext.subarray(-16));
  const opened = Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]);
  expect(opened.toString()).toBe("Secret-pass-1234");
});
