import { expect, test } from "vitest";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { findSlot } from "./find-slot.ts";

async function slotOf(wanted: string, names: readonly string[]): Promise<number> {
  const bmc = new FakeBmc("52:54:00:b1:00:01");
  bmc.users.push(...names.map((name, at) => ({ slot: at + 2, name, password: "x" })));
  const signal = AbortSignal.timeout(5_000);
  const login = { mac: "", host: "10.0.0.7", port: 623, user: names[0] ?? "", password: Buffer.from("x") };
  await using session = await bmc.connect({ ...login, privilege: "administrator", signal });
  return await findSlot(session, 1, wanted, signal);
}

test("the user ID of a name, also where the BMC fills names up with blanks or FFh", async () => {
  expect(await slotOf("rivetab12", ["ADMIN", "rivetab1", "rivetab12"])).toBe(4);
  expect(await slotOf("rivetab12", ["ADMIN", "rivetab12       "])).toBe(3);
  expect(await slotOf("rivetab12", ["ADMIN", "rivetab12\xff\xff"])).toBe(3);
});

test("0 for a name that nobody has", async () => {
  expect(await slotOf("rivetab12", ["ADMIN", "rivetab123", " rivetab12"])).toBe(0);
});
