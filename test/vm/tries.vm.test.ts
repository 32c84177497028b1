import { expect, test } from "vitest";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { followBoot } from "../lab/agent-log.ts";
import { newToken } from "../lab/service.ts";
import { boot, openSite, rowOf } from "./site.ts";

test("a machine whose document named a service that nobody runs is linked by the next try, after it was put right", async () => {
  await using site = await openSite({ one: {} });
  const machine = site.machines.one;
  const token = await newToken(site.service, machine.truth.uuid, 1);
  const wrong = { service: "10.0.2.2:1", service_limit: 1, token };
  const { exitCode, text } = await boot(site, "one", { config: wrong, withoutCertificate: true, stayOn: true });
  expect(exitCode, text).toBe(69);

  const { ca } = site.certificates;
  site.documents.put("one.yaml", { service: site.service.addressSeenByVm, log: "json", ca, token });
  const second = await followBoot(machine, { limitMs: 60_000 });
  await machine.powerOff();
  const said = second.told.flatMap((each) => ("text" in each ? [each.text] : []));
  expect(said[0]).toMatch(/^next try in \d\.\d s \(2 of 10\)$/);
  expect(second.exitCode, said.join("\n")).toBe(0);
  expect(await rowOf(site, machine.truth.bmcMac)).toMatchObject({ state: State.STATE_LINKED });
});
