import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EnrolmentClient } from "../../agent/world.ts";
import type { Doubles } from "../chaos/agent-run.ts";
import { type Case, faultNames, mainProfile } from "../chaos/fault.ts";
import { play } from "../chaos/play.ts";
import { Site } from "../chaos/site.ts";
import { ProcessWatch } from "./process-watch.ts";
import { filesHolding, textsHolding, valuesHolding } from "./search.ts";

/* Enrolments in which agent, machine, BMC, service, network or disk die: the secrets of all of them lie nowhere. */

const stack = new AsyncDisposableStack();
let site: Site;
let watch: ProcessWatch;
const secrets = new Set<string>();
const refusals: unknown[] = [];

beforeAll(async () => {
  watch = stack.use(new ProcessWatch());
  site = stack.use(await Site.open({ program: join(import.meta.dirname, "overheard-service.fixture.ts") }));
});
afterAll(() => stack.disposeAsync());

const client: Doubles["client"] = (inner: EnrolmentClient): EnrolmentClient => {
  const kept = (error: unknown) => {
    refusals.push(error);
    throw error;
  };
  return {
    ...inner,
    begin: async (request, signal) => {
      const begun = await inner.begin(request, signal).catch(kept);
      secrets.add(begun.sessionToken);
      return begun;
    },
    escrowAccount: (request, signal) => {
      secrets.add(request.password.toString("latin1"));
      return inner.escrowAccount(request, signal).catch(kept);
    },
    confirmAccount: (request, signal) => inner.confirmAccount(request, signal).catch(kept),
  };
};

const cases = faultNames.map((fault, i): Case => {
  const first = { beginning: "first", faults: [{ fault, at: "after:call:escrowaccount:1", boot: 0 }] } as const;
  const again = { beginning: "rotation", faults: [{ fault, at: "after:write:set-user-password:1", boot: 0 }] } as const;
  return { ownProcess: false, profile: mainProfile, ...(i % 2 === 0 ? first : again) };
});
const remote = (["service-killed", "disk-full", "lan-replies-lost"] as const).map((fault): Case => {
  const faults = [{ fault, at: "after:lan:set-user-password:1", boot: 0 }];
  return { beginning: "remote", profile: mainProfile, ownProcess: false, faults };
});
const ownProcess: Case = {
  beginning: "first",
  profile: mainProfile,
  ownProcess: true,
  faults: [{ fault: "agent-killed", at: "before:call:confirmaccount:1", boot: 0 }],
};

test("in chaos, no secret is in a file, a log, a refusal, an argument or an environment", async () => {
  const macs: string[] = [];
  for (const each of [...cases, ...remote, ownProcess]) {
    const mac = site.nextMac() ?? "";
    macs.push(mac);
    expect((await play(site, mac, each, 1, { client })).violation).toBeUndefined();
  }
  const stored = macs.flatMap((mac) => site.disk.accounts(mac));
  for (const { password } of stored) secrets.add(Buffer.from(password.reveal()).toString("latin1"));
  const all = [...secrets];
  expect(all.length).toBeGreaterThan(3 * cases.length);
  const directory = dirname(site.service.data);
  expect(readFileSync(join(directory, "service.log"), "utf8").match(/"msg":"listening"/g)?.length).toBeGreaterThan(1);
  expect(refusals).not.toEqual([]);
  expect(filesHolding(all, directory)).toEqual([]);
  expect(valuesHolding(all, { refusals })).toEqual([]);
  expect(textsHolding(all, watch.seen)).toEqual([]);
}, 120_000);
