import { beforeAll, describe, expect, test } from "vitest";
import { parseServiceAddress } from "./address.ts";
import { loadCredentials, type Pem } from "./credentials.ts";
import { type Authority, type Identity, makeAuthority } from "./fixture/pki.ts";

describe("parseServiceAddress", () => {
  test.each([
    ["bmc.example.org:4443", { host: "bmc.example.org", port: 4443, text: "bmc.example.org:4443" }],
    ["10.0.0.1:1", { host: "10.0.0.1", port: 1, text: "10.0.0.1:1" }],
    [" [2001:db8::1]:65535 ", { host: "2001:db8::1", port: 65_535, text: "[2001:db8::1]:65535" }],
    ["bmc-1:4443", { host: "bmc-1", port: 4443, text: "bmc-1:4443" }],
  ])("%s", (text, expected) => {
    expect(parseServiceAddress(text)).toEqual(expected);
  });

  test.each([
    "",
    "bmc.example.org",
    ":4443",
    "host:0",
    "host:65536",
    "host:4443x",
    "10.0.0.300:4443",
    "2001:db8::1:4443",
    "[10.0.0.1]:4443",
    "[nonsense]:4443",
    "https://host:4443",
    "a b:4443",
    "-a:4443",
    "host/path:4443",
  ])("%j is refused", (text) => {
    expect(() => parseServiceAddress(text)).toThrow(expect.objectContaining({ status: "configuration" }));
  });
});

describe("loadCredentials", () => {
  let authority: Authority;
  let agent: Identity;
  let other: Identity;
  beforeAll(async () => {
    authority = await makeAuthority();
    agent = await authority.client("agent");
    other = await authority.client("agent");
  });

  test("takes strings and buffers, with and without a certificate", () => {
    expect(loadCredentials({ ca: authority.ca, ...agent }).own?.subject).toContain("OU=agent");
    expect(loadCredentials({ ca: Buffer.from(authority.ca + authority.ca) }).authorities).toHaveLength(2);
  });

  test.each<[string, (good: Pem & Identity) => Pem, string]>([
    ["an empty CA", (good) => ({ ...good, ca: "" }), "ca: "],
    ["a CA that is no PEM", (good) => ({ ...good, ca: "hello" }), "ca: "],
    ["a damaged CA", (good) => ({ ...good, ca: String(good.ca).replace(/MII/, "AAA") }), "ca: certificate 1 of 1"],
    ["a certificate that is a key", (good) => ({ ...good, cert: good.key }), "cert: "],
    ["a key that is a certificate", (good) => ({ ...good, key: good.cert }), "key: "],
    ["a damaged key", (good) => ({ ...good, key: good.key.replace("MIG", "AAA") }), "key: "],
    ["the key of another certificate", (good) => ({ ...good, key: other.key }), "key: "],
    ["a certificate without its key", ({ ca, cert }) => ({ ca, cert }), "key: missing"],
    ["a key without its certificate", ({ ca, key }) => ({ ca, key }), "cert: missing"],
  ])("%s is refused by name, and no key is shown", (_name, spoil, text) => {
    const attempt = () => loadCredentials(spoil({ ca: authority.ca, ...agent }));
    expect(attempt).toThrow(expect.objectContaining({ status: "configuration" }));
    expect(attempt).toThrow(text);
    try {
      attempt();
    } catch (error) {
      expect(String(error)).not.toContain(agent.key.split("\n")[1]);
    }
  });
});
