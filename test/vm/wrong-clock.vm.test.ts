import { afterAll, beforeAll, expect, test } from "vitest";
import { sntpReply, startSntpServer } from "../../agent/clock/sntp-server.fixture.ts";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { startDocumentServer } from "../lab/document-server.ts";
import { hostAsSeenByVm } from "../lab/qemu.ts";
import { type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

/** Seconds from 1900, where NTP begins to count, to 1970. */
const secondsTo1970 = 2_208_988_800;

const stack = new AsyncDisposableStack();
let site: Site<"old" | "asking">;
beforeAll(async () => {
  const hardwareClock = "2001-01-01" as const;
  site = stack.use(await openSite({ old: { hardwareClock }, asking: { hardwareClock } }));
});
afterAll(() => stack.disposeAsync());

/** That the machine is linked, and that its clock was set once, to what the time is. @returns what it said about that */
async function linkedWithClockSet(name: "old" | "asking", { exitCode, told }: Boot): Promise<string> {
  const notes = told.flatMap((each) => ("text" in each ? [each.text] : []));
  expect(exitCode, notes.join("\n")).toBe(0);
  expect(await rowOf(site, site.machines[name].truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
  const [said = "", ...more] = notes.filter((note) => note.includes("clock"));
  expect(more).toEqual([]);
  const [set = ""] = /(?<=to )\S+Z/.exec(said) ?? [];
  expect(Math.abs(Date.now() - Date.parse(set))).toBeLessThan(120_000);
  return said;
}

test("a machine whose clock stands in 2001 is linked by the time of the document's server, and says so", async () => {
  const said = await linkedWithClockSet("old", await boot(site, "old"));
  expect(said).toMatch(/is not yet valid by the clock: clock set from 2001-01-01T.* by the Date of the server of/);
});

test("where that server does not tell the time, an NTP server is asked", async () => {
  await using timeless = await startDocumentServer({ sendDate: false });
  timeless.put("asking.yaml", { service: site.service.addressSeenByVm, log: "json", ...site.certificates });
  let asked = 0;
  using ntp = await startSntpServer((nonce) => {
    asked += 1;
    return [sntpReply({ nonce, seconds: Math.floor(Date.now() / 1000) + secondsTo1970 })];
  });
  const server = ntp.server.replace("127.0.0.1", hostAsSeenByVm);
  const args = `rivet.config=${timeless.urlOf("asking.yaml")} rivet.ntp=${server}`;
  const said = await linkedWithClockSet("asking", await boot(site, "asking", { withoutDocument: true, args }));
  expect(said).toMatch(/is not yet valid by the clock: clock set from 2001-01-01T/);
  expect(said).toContain(`by the NTP server ${server}`);
  expect(asked).toBe(1);
});
