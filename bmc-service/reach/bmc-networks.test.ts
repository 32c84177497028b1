import { expect, test } from "vitest";
import { BmcNetworks, parseNetwork } from "./bmc-networks.ts";
import type { BmcLogin, BmcSession } from "./connect-bmc.ts";
import { AddressRefusedError, judgedConnect } from "./judged-connect.ts";

const own = () => ["10.0.0.1", "2001:db8::1"];
const networks = (...texts: readonly string[]) => new BmcNetworks(texts.map(parseNetwork), own);
const problem = (host: string, allowed: readonly string[] = [], port = 623) =>
  networks(...allowed).problem({ host, port });

test.each(["10.0.0.8", "192.168.1.8", "203.0.113.8", "2001:db8::7", "fd00::7", "bmc7.example.org"])(
  "%s is a place for a BMC",
  (host) => expect(problem(host)).toBeUndefined(),
);

test.each([
  ["127.0.0.1", "own machine"],
  ["127.8.8.8", "own machine"],
  ["::1", "own machine"],
  ["::ffff:127.0.0.1", "127.0.0.1 is the service's own machine"],
  ["::ffff:7f00:1", "own machine"],
  ["64:ff9b::7f00:1", "own machine"],
  ["::127.0.0.1", "own machine"],
  ["169.254.169.254", "link-local"],
  ["fe80::1", "link-local"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["::", "unspecified"],
  ["224.0.0.1", "multicast"],
  ["ff02::1", "multicast"],
  ["255.255.255.255", "broadcast"],
  ["240.0.0.1", "broadcast"],
  ["10.0.0.1", "an address of the service's own machine"],
  ["::ffff:10.0.0.1", "an address of the service's own machine"],
  ["2001:DB8:0::1", "an address of the service's own machine"],
])("%s is none: %s", (host, why) => expect(problem(host)).toContain(why));

test.each([
  ["10.0.0.8", ["10.0.0.0/8"], true],
  ["10.0.0.8", ["192.168.0.0/16", "10.0.0.8"], true],
  ["192.168.1.8", ["10.0.0.0/8"], false],
  ["2001:db8::7", ["2001:db8::/32"], true],
  ["2001:db9::7", ["2001:db8::/32"], false],
  ["::ffff:10.0.0.8", ["10.0.0.0/8"], true],
  ["127.0.0.1", ["127.0.0.0/8"], true],
  ["127.0.0.1", ["0.0.0.0/0"], false],
  ["::1", ["::1"], true],
  ["::1", ["::/0"], false],
  ["169.254.3.4", ["169.254.0.0/16"], true],
  ["fe80::1", ["fe80::/10"], true],
  ["10.0.0.1", ["10.0.0.0/8"], false],
  ["10.0.0.1", ["10.0.0.0/8", "10.0.0.1"], true],
  ["224.0.0.1", ["224.0.0.0/4"], false],
])("%s with --bmc-networks %j: %j", (host, allowed, isGood) => {
  expect(problem(host, allowed) === undefined).toBe(isGood);
});

test.each([
  [53, false],
  [443, false],
  [623, true],
  [664, true],
  [1023, false],
  [1024, true],
])("port %i: %j", (port, isGood) => expect(problem("10.0.0.8", [], port) === undefined).toBe(isGood));

test.each(["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/8/8", "bmc7", "10.0.0.0/", "fe80::1%eth0/10"])(
  "%j is no network",
  (text) => expect(() => parseNetwork(text)).toThrow(/is no network: give ADDRESS\/PREFIX/),
);

test("what is judged is what is gone to; what the map names is not judged", async () => {
  const gone: string[] = [];
  const connect = async ({ host, port }: BmcLogin) => {
    gone.push(`${host}:${port}`);
    return {} as BmcSession;
  };
  const map = new Map([["52:54:00:b1:00:01", { host: "127.0.0.1", port: 9001 }]]);
  const judged = judgedConnect(connect, networks(), map);
  const login = {
    user: "u",
    password: new Uint8Array(),
    privilege: "administrator",
    signal: new AbortController().signal,
  } as const;
  await judged({ ...login, host: "10.0.0.8", port: 623 });
  await judged({ ...login, host: "127.0.0.1", port: 9001 });
  for (const host of ["127.0.0.1", "localhost"]) {
    await expect(judged({ ...login, host, port: 9002 })).rejects.toThrow(AddressRefusedError);
  }
  const open = judgedConnect(connect, networks("127.0.0.0/8", "::1"), new Map());
  await open({ ...login, host: "localhost", port: 9002 });
  expect(gone.slice(0, 2)).toEqual(["10.0.0.8:623", "127.0.0.1:9001"]);
  expect(gone[2]).toMatch(/^(127\.0\.0\.1|::1):9002$/);
});
