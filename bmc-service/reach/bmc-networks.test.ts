import { expect, test } from "vitest";
import { BmcNetworks, parseNetwork } from "./bmc-networks.ts";
import type { BmcLogin, BmcSession } from "./connect-bmc.ts";
import { AddressRefusedError, judgedConnect } from "./judged-connect.ts";

const own = () => ["10.0.0.1", "2001:db8::1"];
const networks = (...texts: readonly string[]) => new BmcNetworks(texts.map(parseNetwork), own);
const problem = (host: string, allowed: readonly string[] = [], port = 623) =>
  networks(...allowed).problem({ host, port });

test.each([
  "10.0.0.8",
  "192.168.1.8",
  "203.0.113.8",
  "64:ff9b:1::a00:8",
  "2002:cb00:7108::1",
  "2001:db8::7",
  "fd00::7",
  "bmc7.example.org",
])("%s is a place for a BMC", (host) => expect(problem(host)).toBeUndefined());

test.each([
  ["127.0.0.1", "own machine"],
  ["127.8.8.8", "own machine"],
  ["::1", "own machine"],
  ["::ffff:127.0.0.1", "127.0.0.1 is the service's own machine"],
  ["::ffff:7f00:1", "own machine"],
  ["64:ff9b::7f00:1", "own machine"],
  ["64:ff9b:1::7f00:1", "own machine"],
  ["64:ff9b:1:7f00:0:100::", "unspecified"],
  ["::ffff:0:127.0.0.1", "own machine"],
  ["2002:7f00:1::", "own machine"],
  ["2002:a9fe:a9fe::1", "link-local"],
  ["2001:0:7f00:1::", "own machine"],
  // The address of the client, with its bits turned over.
  ["2001:0:cb00:7108::80ff:fffe", "own machine"],
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
  ["2002:a00:8::1", ["10.0.0.0/8"], true],
  ["2002:a00:8::1", ["192.168.0.0/16"], false],
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

const login = {
  mac: "",
  user: "u",
  password: new Uint8Array(),
  privilege: "administrator",
  signal: new AbortController().signal,
} as const;

test("what is judged is what is gone to; what the map says of a BMC is not judged, for that BMC alone", async () => {
  const gone: string[] = [];
  const connect = async ({ host, port }: BmcLogin) => {
    gone.push(`${host}:${port}`);
    return {} as BmcSession;
  };
  const mac = "52:54:00:b1:00:01";
  const map = new Map([[mac, { host: "127.0.0.1", port: 9001 }]]);
  const judged = judgedConnect(connect, networks(), map);
  await judged({ ...login, host: "10.0.0.8", port: 623 });
  await judged({ ...login, mac, host: "127.0.0.1", port: 9001 });
  const other = { ...login, mac: "52:54:00:b1:00:02", host: "127.0.0.1" };
  await expect(judged({ ...other, port: 9001 })).rejects.toThrow(AddressRefusedError);
  for (const host of ["127.0.0.1", "localhost"]) {
    await expect(judged({ ...login, host, port: 9002 })).rejects.toThrow(AddressRefusedError);
  }
  const open = judgedConnect(connect, networks("127.0.0.0/8", "::1"), new Map());
  await open({ ...login, host: "localhost", port: 9002 });
  expect(gone.slice(0, 2)).toEqual(["10.0.0.8:623", "127.0.0.1:9001"]);
  expect(gone[2]).toMatch(/^(127\.0\.0\.1|::1):9002$/);
});

test("a name that means no address is nowhere to go: who goes there would ask once more, and be told another thing", async () => {
  const gone: string[] = [];
  const connect = async ({ host }: BmcLogin) => {
    gone.push(host);
    return {} as BmcSession;
  };
  const judged = judgedConnect(connect, networks(), new Map());
  // An empty label: no server is asked.
  await expect(judged({ ...login, host: "bmc7..example", port: 623 })).rejects.toMatchObject({
    status: "no answer",
    message: expect.stringContaining("lan:bmc7..example:623: no answer"),
  });
  expect(gone).toEqual([]);
});
