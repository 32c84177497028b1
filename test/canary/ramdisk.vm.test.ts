import { afterAll, beforeAll, expect, test } from "vitest";
import { newToken } from "../lab/service.ts";
import { accountsOf, type Boot, boot, openSite, type Site } from "../vm/site.ts";
import { ProcessWatch } from "./process-watch.ts";
import { filesHolding, textsHolding } from "./search.ts";

/*
 * The real ramdisk, with words on its kernel command line that the kernel hands on to its init as
 * environment: Node and gRPC would trace what they move.
 */

const stack = new AsyncDisposableStack();
let site: Site<"one">;
let watch: ProcessWatch;
let linked: Boot;
let secrets: string[];

beforeAll(async () => {
  watch = stack.use(new ProcessWatch());
  site = stack.use(await openSite({ one: {} }));
  const { uuid, bmcMac } = site.machines.one.truth;
  const token = await newToken(site.service, uuid, 1);
  const traces = "GRPC_TRACE=all GRPC_VERBOSITY=DEBUG NODE_DEBUG=http2,stream,net,tls,fs";
  linked = await boot(site, "one", { withoutCertificate: true, config: { token }, args: `quiet ${traces}` });
  secrets = [token, ...(await accountsOf(site, bmcMac)).map(({ password }) => password)];
});
afterAll(() => stack.disposeAsync());

test("a ramdisk that is told to trace links its machine as ever", () => {
  expect(linked.exitCode, linked.text).toBe(0);
  expect(secrets).toHaveLength(2);
});

test("no secret is on its console, in a file, an argument or an environment", () => {
  expect(filesHolding(secrets, site.directory, ["bmc-flash"])).toEqual([]);
  expect(textsHolding(secrets, watch.seen)).toEqual([]);
});
